// SPDX-License-Identifier: Apache-2.0
//
// Seeded draws, the same on every machine.
#pragma once

#include <cstdint>
#include <random>

namespace sluice::oracle {

using Random = std::mt19937_64;

[[nodiscard]] inline std::uint64_t below(Random& random, std::uint64_t end) {
  return random() % end;
}
[[nodiscard]] inline bool chance(Random& random, unsigned percent) {
  return below(random, 100) < percent;
}

}  // namespace sluice::oracle
