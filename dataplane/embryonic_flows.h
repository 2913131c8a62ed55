// SPDX-License-Identifier: Apache-2.0
//
// The flows that have seen no reply yet, by remote host and oldest first: who gives way, when the
// table runs short, so that a flood takes the place of its own flows and not of others'.
//
// How it works. Every flow without a reply stands in the queue of its remote host (a slot of the
// host's keyed hash). A host may have at most a share of what is still free: as room shrinks, so do
// the shares (Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory packet
// switches", 1998). With a share of 1/512, a thousand hosts that open without end are held to two
// thirds of the table together; a third stays free for everybody else. A host beyond its share
// replaces its own oldest. Only where countless hosts (spoofed addresses) fill the table does the
// oldest of a few hosts, taken in turn, give way: in a table with one slot that is the oldest.
//
// Owner: the flow table. Cost: links lie apart from the flows, eight to a cache line; a flow that
// comes or goes touches its slot, its own links and those of its neighbours.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/flow.h"

namespace sluice::dataplane {

class EmbryonicFlows {
 public:
  // Tables below this size see all hosts as one, in one queue without a share.
  static constexpr std::uint32_t kFlowsOfOneSlot = 4096;
  static constexpr std::uint32_t kShareMin = 16;
  static constexpr std::uint32_t kShareOfFree = 512;
  static constexpr FlowIndex kNone = 0xffffffff;

  [[nodiscard]] static std::size_t size_bytes(std::uint32_t flows_max) noexcept;
  // `memory`: size_bytes(flows_max), 64-byte aligned; zeroed here where it must be.
  EmbryonicFlows(std::byte* memory, std::uint32_t flows_max) noexcept;

  [[nodiscard]] std::uint16_t slot_of(std::uint64_t host_hash) const noexcept {
    return static_cast<std::uint16_t>(host_hash & slot_mask_);
  }
  // Ahead of add and remove: first the slot and the flow's own links, then, when these are there,
  // the links of others that will be changed.
  [[gnu::always_inline]] void prefetch_slot(std::uint16_t slot) const noexcept {
    __builtin_prefetch(slots_ + slot, 1);
  }
  [[gnu::always_inline]] void prefetch_links(FlowIndex flow) const noexcept {
    __builtin_prefetch(links_ + flow, 1);
  }
  [[gnu::always_inline]] void prefetch_newest(std::uint16_t slot) const noexcept {
    prefetch_links(slots_[slot].newest);
  }
  [[gnu::always_inline]] void prefetch_neighbours(FlowIndex flow) const noexcept {
    prefetch_links(links_[flow].older);
    prefetch_links(links_[flow].newer);
  }
  void add(std::uint16_t slot, FlowIndex flow) noexcept;
  void remove(std::uint16_t slot, FlowIndex flow) noexcept;
  [[nodiscard]] FlowIndex oldest_of(std::uint16_t slot) const noexcept {
    return slots_[slot].count == 0 ? kNone : slots_[slot].oldest;
  }
  // May the host not open another one while `free` cells are free?
  [[nodiscard]] bool is_beyond_share(std::uint16_t slot, std::uint32_t free) const noexcept {
    const std::uint32_t share = free / kShareOfFree;
    return slot_mask_ != 0 && slots_[slot].count >= (share < kShareMin ? kShareMin : share);
  }
  // The oldest flows of the next few hosts in turn; how many: 0 if there is none at all.
  static constexpr std::size_t kCandidates = 4;
  std::size_t candidates(FlowIndex (&flows)[kCandidates]) noexcept;

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

 private:
  struct Slot {
    FlowIndex oldest, newest;
    std::uint32_t count;
    std::uint32_t spare;
  };
  struct Link {
    FlowIndex older, newer;
  };
  [[nodiscard]] static std::size_t slots_for(std::uint32_t flows_max) noexcept;

  Slot* slots_;
  std::uint64_t* busy_;  // a bit per slot that is not empty
  Link* links_;          // of each cell
  std::size_t slot_mask_;
  std::size_t turn_ = 0;  // the slot that was asked last
  std::uint64_t count_ = 0;
};

}  // namespace sluice::dataplane
