// SPDX-License-Identifier: Apache-2.0
//
// (zone, local address) -> load balancer. Immutable; shared by successive tables until an LB comes,
// goes or changes its addresses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "rules/model.h"

namespace sluice::rules {

// Place of an LB in a table's list of LBs.
using LbPlace = std::uint32_t;

class LbIndex {
 public:
  explicit LbIndex(std::size_t addresses);

  void add(std::uint16_t zone, const Address& address, LbId lb, LbPlace place);

  struct Owner {
    LbId lb = 0;  // 0: no LB owns the address
    LbPlace place = 0;
  };
  [[nodiscard]] Owner find(std::uint16_t zone, const Address& address) const noexcept {
    const Slot& slot = slots_[slot_of(zone, address)];
    return {slot.lb, slot.place};
  }
  [[nodiscard]] std::size_t size_bytes() const noexcept { return slots_.size() * sizeof(Slot); }

 private:
  // Open addressing, a power of two of slots, at most half full; two slots a cache line.
  struct alignas(32) Slot {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    LbId lb = 0;  // 0: free
    LbPlace place = 0;
    std::uint16_t zone = 0;
    Family family = Family::ipv4;
  };
  [[nodiscard]] std::size_t slot_of(std::uint16_t zone, const Address& address) const noexcept;

  std::vector<Slot> slots_;
};

}  // namespace sluice::rules
