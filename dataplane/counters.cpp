// SPDX-License-Identifier: Apache-2.0
#include "dataplane/counters.h"

namespace sluice::dataplane {

Counts& Counts::operator+=(const Counts& other) {
  received += other.received;
  passed += other.passed;
  for (std::size_t i = 0; i < dropped.size(); ++i) dropped[i] += other.dropped[i];
  bytes_passed += other.bytes_passed;
  flows_opened += other.flows_opened;
  flows_live += other.flows_live;
  flows_embryonic += other.flows_embryonic;
  flows_adopted += other.flows_adopted;
  flows_replaced += other.flows_replaced;
  fragments_held += other.fragments_held;
  datagrams_tracked += other.datagrams_tracked;
  datagrams_replaced += other.datagrams_replaced;
  flows_replaced_by_share += other.flows_replaced_by_share;
  flows_pressed += other.flows_pressed;
  cells_free += other.cells_free;
  cells_max += other.cells_max;
  return *this;
}

std::uint64_t Counts::dropped_total() const {
  std::uint64_t total = 0;
  for (std::uint64_t count : dropped) total += count;
  return total;
}

}  // namespace sluice::dataplane
