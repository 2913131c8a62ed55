// SPDX-License-Identifier: Apache-2.0
//
// Packet counts of one worker: received = passed + sum(dropped), at every instant a reader sees.
//
// Owner: one worker writes, at the end of each burst; any thread reads a consistent copy.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/shared_value.h"
#include "dataplane/verdict.h"

namespace sluice::dataplane {

struct Counts {
  std::uint64_t received = 0;  // packets disposed of: passed or dropped
  std::uint64_t passed = 0;
  std::array<std::uint64_t, kDropReasons> dropped{};  // [none] stays 0
  std::uint64_t bytes_passed = 0;
  std::uint64_t flows_opened = 0;
  std::uint64_t flows_live = 0;               // gauge
  std::uint64_t flows_embryonic = 0;          // gauge: no reply seen yet
  std::uint64_t flows_adopted = 0;            // met in their middle after a start
  std::uint64_t flows_replaced = 0;           // embryonic flows that gave way to newer ones
  std::uint64_t flows_replaced_by_share = 0;  // the same, to flows of their own remote host
  std::uint64_t flows_pressed = 0;            // opened while less than a quarter was free
  std::uint64_t cells_free = 0;               // gauge: room for so many IPv4 flows
  std::uint64_t cells_max = 0;                // gauge

  std::uint64_t fragments_held = 0;      // gauge: frames that wait for their first fragment
  std::uint64_t datagrams_tracked = 0;   // gauge: datagrams in fragments
  std::uint64_t datagrams_replaced = 0;  // that gave way to others before they were whole

  // One packet disposed of.
  void add(DropReason reason, std::uint32_t size_bytes) noexcept {
    ++received;
    if (reason == DropReason::none) {
      ++passed;
      bytes_passed += size_bytes;
    } else {
      ++dropped[static_cast<std::size_t>(reason)];
    }
  }
  Counts& operator+=(const Counts& other);
  [[nodiscard]] std::uint64_t dropped_total() const;
  bool operator==(const Counts&) const = default;
};

using SharedCounts = SharedValue<Counts>;

}  // namespace sluice::dataplane
