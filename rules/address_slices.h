// SPDX-License-Identifier: Apache-2.0
//
// Where among sorted borders the search for an address begins. The borders stand in up to
// kPieces pieces of the address space, each cut into slices of equal size; a slice knows how many
// borders lie before it, and few enough lie in it that one comparison with a window of borders
// finishes. Where that would take too many slices, the slices are of every 16th border (every 8th
// of IPv6), or of every 256th, and each such level costs a comparison more.
//
// Cost: a few passes over the borders.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "rules/policy_image.h"

namespace sluice::rules {

template <class Number>
struct AddressPiece {
  Number base = 0;  // slice i begins at base + (i << shift); the first also holds what is below
  Number last = 0;  // address of the piece
  unsigned shift = 0;
  std::vector<std::uint32_t> starts;  // of each slice: where its window of borders begins
};

template <class Number>
struct AddressSlices {
  std::vector<AddressPiece<Number>> pieces;  // 1 .. kPieces, ascending
  // levels[0]: all borders; levels[i]: every kFan-th of the one before. Slices are of the last.
  std::vector<std::vector<Number>> levels;
};

// Of borders in ascending order, each once; none is the last address there is. Takes as many levels
// as it needs: more than kLevelsMax have no place in an image.
[[nodiscard]] AddressSlices<std::uint32_t> slice(std::span<const std::uint32_t> borders);
[[nodiscard]] AddressSlices<std::uint64_t> slice(std::span<const std::uint64_t> borders);

}  // namespace sluice::rules
