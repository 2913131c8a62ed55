// SPDX-License-Identifier: Apache-2.0
#include "dataplane/counters.h"

#include <bit>
#include <type_traits>

namespace sluice::dataplane {

static_assert(std::is_trivially_copyable_v<Counts>);
static_assert(sizeof(Counts) % sizeof(std::uint64_t) == 0);

Counts& Counts::operator+=(const Counts& other) {
  received += other.received;
  passed += other.passed;
  for (std::size_t i = 0; i < dropped.size(); ++i) dropped[i] += other.dropped[i];
  bytes_passed += other.bytes_passed;
  flows_opened += other.flows_opened;
  flows_live += other.flows_live;
  flows_embryonic += other.flows_embryonic;
  flows_adopted += other.flows_adopted;
  flows_replaced += other.flows_replaced;
  fragments_held += other.fragments_held;
  datagrams_tracked += other.datagrams_tracked;
  datagrams_replaced += other.datagrams_replaced;
  flows_replaced_by_share += other.flows_replaced_by_share;
  flows_pressed += other.flows_pressed;
  cells_free += other.cells_free;
  cells_max += other.cells_max;
  return *this;
}

std::uint64_t Counts::dropped_total() const {
  std::uint64_t total = 0;
  for (std::uint64_t count : dropped) total += count;
  return total;
}

void SharedCounts::publish(const Counts& counts) noexcept {
  const auto words = std::bit_cast<std::array<std::uint64_t, kWords>>(counts);
  const std::uint64_t sequence = sequence_.load(std::memory_order_relaxed);
  sequence_.store(sequence + 1, std::memory_order_relaxed);
  // Release on each word orders it after the odd sequence; free on x86 and, unlike a fence,
  // understood by ThreadSanitizer.
  for (std::size_t i = 0; i < kWords; ++i) words_[i].store(words[i], std::memory_order_release);
  sequence_.store(sequence + 2, std::memory_order_release);
}

Counts SharedCounts::read() const noexcept {
  std::array<std::uint64_t, kWords> words;
  std::uint64_t before = 0, after = 0;
  do {
    before = sequence_.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < kWords; ++i) words[i] = words_[i].load(std::memory_order_acquire);
    after = sequence_.load(std::memory_order_relaxed);
  } while (before != after || (before & 1) != 0);
  return std::bit_cast<Counts>(words);
}

}  // namespace sluice::dataplane
