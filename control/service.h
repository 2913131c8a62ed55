// SPDX-License-Identifier: Apache-2.0
//
// The use cases: what a request makes of the node's state. Pure: a state in, a state or a refusal
// out; the publisher compiles, stores and publishes what comes out.
//
// Every refusal lists all problems of the request and changes nothing.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "control/state.h"
#include "dataplane/dataplane.h"
#include "rules/json.h"

namespace sluice::control {

struct Outcome {
  State next;
  rules::Json answer = rules::Json::object();  // `data` of the answer
  dataplane::FlowsOnChange flows{};            // what becomes of flows no longer allowed
  bool is_answer_only = false;  // `next` is tried (it must compile), not brought into force
};

// Groups (bodies as in API.md). An update, attach and detach take `flows`: cut, keep,
// drain:SECONDS.
[[nodiscard]] rules::Result<Outcome> create_group(const State& state, const rules::Json& body);
[[nodiscard]] rules::Result<Outcome> update_group(const State& state, rules::GroupId id,
                                                  const rules::Json& body);
[[nodiscard]] rules::Result<Outcome> delete_group(const State& state, rules::GroupId id);
[[nodiscard]] rules::Result<Outcome> mark_default(const State& state, rules::GroupId id);

// Attachments; groups in `body` as security_group_ids or security_group_id, a list or one number.
[[nodiscard]] rules::Result<Outcome> attach(const State& state, rules::LbId lb,
                                            const rules::Json& body);
[[nodiscard]] rules::Result<Outcome> detach(const State& state, rules::LbId lb,
                                            const rules::Json& body);

// Load balancers.
[[nodiscard]] rules::Result<Outcome> register_lb(const State& state, const rules::Json& body,
                                                 std::span<const std::string> zones);
[[nodiscard]] rules::Result<Outcome> replace_lb(const State& state, rules::LbId id,
                                                const rules::Json& body,
                                                std::span<const std::string> zones);
[[nodiscard]] rules::Result<Outcome> set_status(const State& state, rules::LbId id,
                                                const rules::Json& body);
[[nodiscard]] rules::Result<Outcome> delete_lb(const State& state, rules::LbId id);

// VPCs.
[[nodiscard]] rules::Result<Outcome> create_vpc(const State& state, const rules::Json& body);
// Rules that name it follow: its prefixes are looked up when the next table is compiled.
[[nodiscard]] rules::Result<Outcome> update_vpc(const State& state, rules::VpcId id,
                                                const rules::Json& body);
[[nodiscard]] rules::Result<Outcome> delete_vpc(const State& state, rules::VpcId id);

// Reads that may be refused.
[[nodiscard]] rules::Result<rules::LoadBalancer> find_lb(const State& state, rules::LbId id);
[[nodiscard]] rules::Result<rules::Group> find_group(const State& state, rules::GroupId id);
// The tab: available in Running and Backend Connection Failure only.
[[nodiscard]] rules::Result<rules::LoadBalancer> find_lb_for_review(const State& state,
                                                                    rules::LbId id);

}  // namespace sluice::control
