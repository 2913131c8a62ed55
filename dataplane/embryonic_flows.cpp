// SPDX-License-Identifier: Apache-2.0
#include "dataplane/embryonic_flows.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

namespace sluice::dataplane {
namespace {

std::size_t busy_words(std::size_t slots) {
  return std::max<std::size_t>(slots / 64, 8);  // a whole cache line at least
}

}  // namespace

std::size_t EmbryonicFlows::slots_for(std::uint32_t flows_max) noexcept {
  if (flows_max < kFlowsOfOneSlot) return 1;
  return std::min<std::size_t>(std::bit_ceil(std::size_t{flows_max}), 65536);
}

std::size_t EmbryonicFlows::size_bytes(std::uint32_t flows_max) noexcept {
  const std::size_t slots = slots_for(flows_max);
  const std::size_t bytes = std::max<std::size_t>(slots * sizeof(Slot), 64) +
                            busy_words(slots) * sizeof(std::uint64_t) +
                            std::size_t{flows_max} * sizeof(Link);
  return (bytes + 63) / 64 * 64;
}

EmbryonicFlows::EmbryonicFlows(std::byte* memory, std::uint32_t flows_max) noexcept
    : slot_mask_(slots_for(flows_max) - 1) {
  const std::size_t slots = slot_mask_ + 1;
  slots_ = new (memory) Slot[slots]();
  memory += std::max<std::size_t>(slots * sizeof(Slot), 64);
  busy_ = new (memory) std::uint64_t[busy_words(slots)]();
  memory += busy_words(slots) * sizeof(std::uint64_t);
  links_ = new (memory) Link[flows_max];
}

void EmbryonicFlows::add(std::uint16_t slot_index, FlowIndex flow) noexcept {
  Slot& slot = slots_[slot_index];
  if (slot.count == 0) {
    slot.oldest = flow;
    busy_[slot_index / 64] |= std::uint64_t{1} << (slot_index % 64);
  } else {
    links_[slot.newest].newer = flow;
  }
  links_[flow] = {slot.newest, kNone};
  slot.newest = flow;
  ++slot.count;
  ++count_;
}

void EmbryonicFlows::remove(std::uint16_t slot_index, FlowIndex flow) noexcept {
  Slot& slot = slots_[slot_index];
  const Link link = links_[flow];
  if (slot.oldest == flow) {
    slot.oldest = link.newer;
  } else {
    links_[link.older].newer = link.newer;
  }
  if (slot.newest == flow) {
    slot.newest = link.older;
  } else {
    links_[link.newer].older = link.older;
  }
  --count_;
  if (--slot.count == 0) busy_[slot_index / 64] &= ~(std::uint64_t{1} << (slot_index % 64));
}

std::size_t EmbryonicFlows::candidates(FlowIndex (&flows)[kCandidates]) noexcept {
  const std::size_t words = busy_words(slot_mask_ + 1);
  std::size_t found = 0;
  std::size_t at = (turn_ + 1) & slot_mask_;
  std::uint64_t bits = busy_[at / 64] & (~std::uint64_t{0} << (at % 64));
  // Once around and, for the bits before `at`, the first word again.
  for (std::size_t steps = 0, word = at / 64; steps <= words && found < kCandidates; ++steps) {
    for (; bits != 0 && found < kCandidates; bits &= bits - 1) {
      turn_ = word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
      flows[found++] = slots_[turn_].oldest;
    }
    word = (word + 1) % words;
    bits = busy_[word];
  }
  return found;
}

}  // namespace sluice::dataplane
