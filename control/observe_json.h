// SPDX-License-Identifier: Apache-2.0
//
// What the data plane tells, as JSON: flows, counts, the reasons of a verdict.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "control/state.h"
#include "dataplane/dataplane.h"
#include "dataplane/flow_report.h"
#include "rules/explain.h"
#include "rules/json.h"

namespace sluice::control {

// "TCP"; the number where the registry has no name.
[[nodiscard]] std::string protocol_name(std::uint8_t protocol);
// Null: none, or one that is gone.
[[nodiscard]] rules::Json lb_name_json(const State& state, rules::LbId id);

// {group_id, group_name, rule_id, text}
[[nodiscard]] rules::Json found_rule_json(const rules::FoundRule& found);
// The same with `failed`: the rule's fields that the packet fails, and `because`.
[[nodiscard]] rules::Json nearest_miss_json(const rules::NearestMiss& miss,
                                            const rules::PacketKey& key);
// `table`: in force, for rules that a flow knows from an older one.
[[nodiscard]] rules::Json flow_json(const dataplane::FlowReport& flow, const State& state,
                                    const rules::Table& table,
                                    const std::vector<std::string>& zones);

// Per LB and direction; LB null: packets of none, "gone": of LBs that are no longer there.
[[nodiscard]] rules::Json lb_counts_json(const dataplane::TrafficReport& report, const State& state,
                                         std::optional<rules::LbId> only);
// Every rule of the node, those that never counted too.
[[nodiscard]] rules::Json rule_counts_json(const dataplane::TrafficReport& report,
                                           const State& state, std::optional<rules::GroupId> only);

}  // namespace sluice::control
