// SPDX-License-Identifier: Apache-2.0
//
// The queries of GET /flows/, /drops/ and /counters/: texts to filters, all problems at once.
#pragma once

#include <map>
#include <string>

#include "control/drop_history.h"
#include "control/state.h"
#include "dataplane/flow_report.h"
#include "rules/result.h"

namespace sluice::control {

using QueryTexts = std::map<std::string, std::string>;

inline constexpr std::size_t kFlowsPageMax = 10'000;

struct FlowQuery {
  dataplane::FlowFilter filter;
  dataplane::FlowCursor cursor;
  std::size_t limit = 100;
};
// lb (id or name), remote, local (address or CIDR), protocol, port (of either side), state, limit
// (0: count only), cursor (`next_cursor` of the page before).
[[nodiscard]] rules::Result<FlowQuery> read_flow_query(const QueryTexts& query, const State& state);
[[nodiscard]] std::string cursor_text(const dataplane::FlowCursor& cursor);

struct DropQuery {
  DropFilter filter;
  std::size_t limit = 100;
};
// lb (id or name, "none": of no LB), reason, direction, limit.
[[nodiscard]] rules::Result<DropQuery> read_drop_query(const QueryTexts& query, const State& state);

struct CounterQuery {
  std::optional<rules::LbId> lb;
  std::optional<rules::GroupId> group;
  bool is_summary = false;  // totals, workers and ports only
};
// lb, group (id or name), summary=1.
[[nodiscard]] rules::Result<CounterQuery> read_counter_query(const QueryTexts& query,
                                                             const State& state);

}  // namespace sluice::control
