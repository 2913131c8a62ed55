// SPDX-License-Identifier: Apache-2.0
//
// What became of live flows under a new table.
#pragma once

#include <cstdint>

namespace sluice::dataplane {

// Live flows that the newest table does not allow and the one before did, by fate.
struct FateCounts {
  std::uint64_t generation = 0;  // of that table
  std::uint64_t cut = 0;
  std::uint64_t kept = 0;
  std::uint64_t draining = 0;
  std::uint64_t complete = 0;  // 1: every flow was judged, the counts are exact
  bool operator==(const FateCounts&) const = default;
};

}  // namespace sluice::dataplane
