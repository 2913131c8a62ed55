// SPDX-License-Identifier: Apache-2.0
//
// What the API answers to reads: views of a state, of the table and of the counters.
#pragma once

#include <map>
#include <string>

#include "control/publisher.h"

namespace sluice::control {

using Query = std::map<std::string, std::string>;

[[nodiscard]] rules::Json list_groups(const State& state);
[[nodiscard]] rules::Result<rules::Json> show_group(const State& state, rules::GroupId id);
[[nodiscard]] rules::Json list_vpcs(const State& state);
[[nodiscard]] rules::Result<rules::Json> show_vpc(const State& state, rules::VpcId id);
[[nodiscard]] rules::Result<rules::Json> show_lb(const State& state, rules::LbId id);
[[nodiscard]] rules::Result<rules::Json> show_node(const State& state, rules::LbId id);

// The groups attached to an LB with their rules; those that may be detached; those that may still
// be attached. Refused by status as the tab is.
[[nodiscard]] rules::Result<rules::Json> list_attached(const State& state, rules::LbId id);
[[nodiscard]] rules::Result<rules::Json> list_detachable(const State& state, rules::LbId id);
[[nodiscard]] rules::Result<rules::Json> list_available(const State& state, rules::LbId id);
// The tab in one answer: {attached, available, generation, …}.
[[nodiscard]] rules::Result<rules::Json> show_tab(const State& state, rules::LbId id);

// One page: `page_no` from 1, `per_page` 1-1000; of those LBs only whose name, address, status or
// id `search` is found in. Errors: invalid.
struct Page {
  rules::Json items;
  std::size_t total_pages = 1;
  std::size_t total_count = 0;
};
[[nodiscard]] rules::Result<Page> list_lbs(const State& state, const Query& query);

[[nodiscard]] rules::Json show_table(const TableReport& report, const dataplane::Dataplane& plane);
[[nodiscard]] rules::Json show_counters(const TableReport& report,
                                        const dataplane::Dataplane& plane);

}  // namespace sluice::control
