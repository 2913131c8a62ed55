// SPDX-License-Identifier: Apache-2.0
//
// Counts kept by id, so that they outlive table swaps: a fixed open table from an id to its entry.
//
// Ids are given in order and never twice, so an id's own slot is mostly free: one compare. Else the
// entry stands in one of the next kWindow slots. An id that finds no slot shares the last entry
// with all others like it, as do ids that are forgotten: sums over all entries stay exact.
//
// Owner: one worker. Limits: slots, a power of two. Entry: `id` (0: free), `+=`.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice::dataplane {

template <class Entry>
class EntriesById {
 public:
  static constexpr std::uint32_t kWindow = 16;
  static constexpr std::uint32_t kOthers = 0xffffffff;  // id of the last entry

  [[nodiscard]] static constexpr std::size_t size_bytes(std::uint32_t slots) noexcept {
    return (std::size_t{slots} + 1) * sizeof(Entry);
  }
  // `memory`: size_bytes(slots), zeroed, aligned as Entry.
  EntriesById(void* memory, std::uint32_t slots) noexcept
      : entries_(static_cast<Entry*>(memory)), mask_(slots - 1) {
    entries_[slots].id = kOthers;
  }

  // Of id 0 (none) as well: its entry is the first.
  [[nodiscard]] Entry& of(std::uint32_t id) noexcept {
    Entry& entry = entries_[id & mask_];
    return entry.id == id ? entry : seek(id);
  }

  // All entries, free ones too: at(0) .. at(count() - 1).
  [[nodiscard]] std::uint32_t count() const noexcept { return mask_ + 2; }
  [[nodiscard]] const Entry& at(std::uint32_t index) const noexcept { return entries_[index]; }

  // Moves entry `index` to the others, unless it is free or `keep` (sorted) holds its id.
  void forget_unless(std::uint32_t index, std::span<const std::uint32_t> keep) noexcept {
    Entry& entry = entries_[index];
    if (entry.id == 0 || entry.id == kOthers) return;
    if (std::binary_search(keep.begin(), keep.end(), entry.id)) return;
    entries_[mask_ + 1] += entry;
    entry = Entry{};
  }

 private:
  [[nodiscard]] Entry& seek(std::uint32_t id) noexcept {
    Entry* free = nullptr;
    for (std::uint32_t i = 0; i <= kWindow; ++i) {
      const std::uint32_t slot = (id + i) & mask_;
      Entry& entry = entries_[slot];
      if (entry.id == id) return entry;
      if (entry.id == 0 && slot != 0 && free == nullptr) free = &entry;
    }
    if (free == nullptr) return entries_[mask_ + 1];
    free->id = id;
    return *free;
  }

  Entry* entries_;
  std::uint32_t mask_;
};

}  // namespace sluice::dataplane
