// SPDX-License-Identifier: Apache-2.0
//
// The lookup key by key, for instruction sets without wide masks: lookup_scalar.cpp and
// lookup_avx2.cpp define `Lanes`. The same rules hold as in lookup_stages.h.
//
// Lanes:
//   Service, service(n)       a service number, ready to be compared with many
//   list_parity(line, ref, s) parity of the list's turns at or below s; `ref` says where they are
//   below16(line, s)          how many of the line's 32 16-bit borders are below s
//   address(n)                likewise an address, of 32 or 64 bits
//   below(borders, a)         how many of a line of borders that begin there are below the address
//   below4(borders, a)        likewise of four 64-bit ones
#pragma once

#include "rules/lookup_stages.h"

namespace sluice::rules {
namespace {

template <class Lanes>
[[gnu::always_inline]] inline bool holds(const Line* image, SetSlot slot, std::uint16_t service) {
  if (!slot.is_ref()) return slot.holds(service);
  const SetRef set = slot.ref();
  const Line* line = image + set.line();
  const auto wide = Lanes::service(service);
  if (set.is_list()) return Lanes::list_parity(line, set, wide) & 1u;
  if (set.kind() == SetKind::bitmap)
    return is_in_bitmap(reinterpret_cast<const std::uint32_t*>(line), service);
  const Line* page = line + 1 + Lanes::below16(line, wide);
  return (Lanes::below16(page, wide) ^ set.length()) & 1u;
}

template <class Lanes, class Number>
[[gnu::always_inline]] inline std::uint32_t interval_of(const Line* image, const FamilyHead& head,
                                                        Number number) {
  const auto address = Lanes::address(number);
  std::uint32_t place = slice_start(image, head, number);
  for (std::size_t level = head.levels; level > 1; --level) {
    place += Lanes::below(at<Number>(image, head.level_at[level - 1]) + place, address);
    place *= static_cast<std::uint32_t>(kFan<Number>);
  }
  return place + Lanes::below(at<Number>(image, head.level_at[0]) + place, address);
}

// Inside one high half of IPv6.
template <class Lanes>
[[gnu::always_inline]] inline SetSlot slot_of_low(const Line* image, SetRef ref, std::size_t axis,
                                                  std::uint64_t low) {
  const Line* line = image + ref.line();
  if (ref.kind() == SetKind::leaf) {
    const auto& leaf = *reinterpret_cast<const LowLeaf*>(line);
    return slot_in(image, leaf, axis, Lanes::below4(leaf.borders, Lanes::address(low)));
  }
  const auto& head = *reinterpret_cast<const FamilyHead*>(line);
  return slot_in(image, head, axis, interval_of<Lanes>(image, head, low));
}

template <class Lanes>
[[gnu::always_inline]] inline bool ask(const ImageSet& set, const PacketKey& key) {
  const Line* image = image_of(set, key);
  const FamilyHead& head = head_of(image, key.remote.family);
  const std::size_t axis = axis_of(key);
  if (is_in_port_map(image, head.any_at[axis], key.service)) return true;
  if (key.remote.family == Family::ipv4) {
    const auto address = static_cast<std::uint32_t>(key.remote.low);
    return holds<Lanes>(image, slot_in(image, head, axis, interval_of<Lanes>(image, head, address)),
                        key.service);
  }
  SetSlot services = slot_in(image, head, axis, interval_of<Lanes>(image, head, key.remote.high));
  if (services.is_ref() && services.ref().is_low())
    services = slot_of_low<Lanes>(image, services.ref(), axis, key.remote.low);
  return holds<Lanes>(image, services, key.service);
}

template <class Lanes>
[[gnu::always_inline]] inline std::uint64_t lookup_each(const ImageSet& set, const PacketKey* keys,
                                                        std::size_t count) {
  std::uint64_t allowed = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const bool allows = ask<Lanes>(set, keys[i]);
    allowed |= std::uint64_t{allows} << i;
  }
  return allowed;
}

}  // namespace
}  // namespace sluice::rules
