// SPDX-License-Identifier: Apache-2.0
#include "rules/lb_index.h"

#include <bit>

namespace sluice::rules {

LbIndex::LbIndex(std::size_t addresses) : slots_(std::bit_ceil(addresses * 2 + 2)) {}

// The slot of the address, or the free one where it would stand. Ends: at most half are taken.
std::size_t LbIndex::slot_of(std::uint16_t zone, const Address& address) const noexcept {
  std::uint64_t hash = (address.high ^ (std::uint64_t{zone} << 48)) * 0x9e3779b97f4a7c15u;
  hash = (hash ^ (hash >> 32) ^ address.low) * 0xff51afd7ed558ccdu;
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = (hash >> 32) & mask;; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.lb == 0 || (slot.low == address.low && slot.high == address.high &&
                         slot.zone == zone && slot.family == address.family))
      return at;
  }
}

void LbIndex::add(std::uint16_t zone, const Address& address, LbId lb, LbPlace place) {
  slots_[slot_of(zone, address)] = {address.high, address.low, lb, place, zone, address.family};
}

}  // namespace sluice::rules
