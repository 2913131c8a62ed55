// SPDX-License-Identifier: Apache-2.0
//
// What the lookups of all instruction sets share. Compiled once for each of them, in its own file:
// everything here has internal linkage and calls nothing of the standard library, for a function
// that the linker could merge with a copy of another file would carry wide instructions to CPUs
// that lack them.
#pragma once

#include "rules/lookup.h"

namespace sluice::rules {
namespace {

[[gnu::always_inline]] inline const Line* image_of(const ImageSet& set, const PacketKey& key) {
  return set.images[std::size_t{key.policy} * 2 + static_cast<std::size_t>(key.direction)];
}
[[gnu::always_inline]] inline const FamilyHead& head_of(const Line* image, Family family) {
  return *reinterpret_cast<const FamilyHead*>(image + head_line(family));
}
template <class T>
[[gnu::always_inline]] inline const T* at(const Line* image, std::size_t offset) {
  return reinterpret_cast<const T*>(reinterpret_cast<const char*>(image) + offset);
}
[[gnu::always_inline]] inline std::uint8_t axis_of(const PacketKey& key) {
  return kServiceAxes.of[key.protocol].axis;
}

[[gnu::always_inline]] inline bool is_in_bitmap(const std::uint32_t* words, std::uint32_t bit) {
  return (words[bit / 32] >> (bit % 32)) & 1u;
}

// Is the service open to every address? `map`: where the port map begins.
[[gnu::always_inline]] inline bool is_in_port_map(const Line* image, std::size_t map,
                                                  std::uint32_t service) {
  const std::size_t page = *at<std::uint8_t>(image, map + service / 256);
  const auto* bits = at<std::uint32_t>(image, map + kPortMapPages + page * kPageBytes);
  return is_in_bitmap(bits, service % 256);
}

// Where in the last level of borders the search for an address begins.
[[gnu::always_inline]] inline std::uint32_t slice_start(const Line* image, const FamilyHead& head,
                                                        std::uint64_t address) {
  if (address > head.top) address = head.top;
  std::size_t piece = 0;
  for (std::size_t i = 0; i + 1 < kPieces; ++i) piece += address > head.last[i] ? 1 : 0;
  const std::uint64_t base = head.base[piece];
  if (address < base) address = base;
  return at<std::uint32_t>(image, head.slices_at[piece])[(address - base) >> head.shift[piece]];
}

// What holds in an interval, for one axis.
[[gnu::always_inline]] inline SetSlot slot_in(const Line* image, const FamilyHead& head,
                                              std::size_t axis, std::uint32_t interval) {
  return at<SetSlot>(image, head.sets_at[axis])[interval & head.interval_mask(axis)];
}

[[gnu::always_inline]] inline SetSlot slot_in(const Line* image, const LowLeaf& leaf,
                                              std::size_t axis, std::uint32_t interval) {
  return at<SetSlot>(image, leaf.sets_at[axis])[interval & leaf.interval_mask(axis)];
}

}  // namespace
}  // namespace sluice::rules
