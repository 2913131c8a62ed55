// SPDX-License-Identifier: Apache-2.0
//
// POST /explain/: a packet as a person names it, what would become of it, and why.
#pragma once

#include "control/publisher.h"
#include "dataplane/trace.h"
#include "rules/json.h"

namespace sluice::control {

struct ExplainQuestion {
  rules::LbId lb = 0;
  dataplane::TraceQuestion packet;
  bool names_a_flow = false;  // both ports were given, so that a live flow can be looked for
};

// An LB by id or by name.
[[nodiscard]] std::optional<rules::LbId> find_lb_by_word(const State& state, std::string_view word);
// The number that a protocol's name stands for in packets of that family.
[[nodiscard]] rules::Result<std::uint8_t> protocol_number(std::string_view text,
                                                          rules::Family family);

// {lb, direction, protocol, remote, remote_port, local, local_port, icmp_type, icmp_code}. Left
// out: `local` is the LB's first address of the remote's family, the port that no rule looks at
// any, the ICMP type that of an echo request. Errors: invalid, every field; not_found: the LB.
[[nodiscard]] rules::Result<ExplainQuestion> read_explain_question(
    const rules::Json& body, const State& state, const std::vector<std::string>& zones);

// May wait for workers. Errors: unavailable, before the first table.
[[nodiscard]] rules::Result<rules::Json> explain(const ExplainQuestion& question,
                                                 Publisher& publisher);

}  // namespace sluice::control
