// SPDX-License-Identifier: Apache-2.0
//
// The index of the flow table: hash of a key -> cell of its flow.
//
// How it works. A bucket is one cache line of eight places: 16 bits of the hash (the tag), the
// second in which the flow's idle time may be over, and the cell. A key has two buckets, its home
// and one that follows from home and tag. A new flow takes a place at home; if there is none, in
// the other bucket; if there is none either, a flow there moves to its own other bucket, which
// needs no look at the flow, because the two buckets of a place follow from each other. There are
// two places for each flow, so homes are rarely full, and each home counts the flows that live
// away: a lookup, hit or miss, reads one line, and the second only where somebody lives away.
// Because the times stand here, the sweep for flows that are over reads these lines in order and
// touches a flow once in its idle time, not once a round.
//
// Owner:  the flow table. Limits: cells below 2^26.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "dataplane/flow.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace sluice::dataplane {

class FlowBuckets {
 public:
  static constexpr std::size_t kPlaces = 8;
  struct alignas(64) Bucket {
    std::array<std::uint16_t, kPlaces> tags;   // 0: free
    std::array<std::uint16_t, kPlaces> due_s;  // modulo 2^16
    // Bits 0-25: cell; 31: the flow lives away from home. Of [0], bits 26-30: how many flows
    // whose home this is live away.
    std::array<std::uint32_t, kPlaces> cells;
  };
  static_assert(sizeof(Bucket) == 64);

  // A flow's place. Null bucket: none.
  struct Place {
    Bucket* bucket = nullptr;
    std::size_t index = 0;
    [[nodiscard]] FlowIndex cell() const noexcept { return bucket->cells[index] & kCellMask; }
    [[nodiscard]] std::uint16_t& due_s() const noexcept { return bucket->due_s[index]; }
  };

  [[nodiscard]] static std::size_t buckets_for(std::uint32_t flows_max) noexcept;
  [[nodiscard]] static std::size_t size_bytes(std::uint32_t flows_max) noexcept {
    return buckets_for(flows_max) * sizeof(Bucket);
  }
  // `memory`: size_bytes(flows_max), 64-byte aligned.
  FlowBuckets(std::byte* memory, std::uint32_t flows_max) noexcept;

  void prefetch(std::uint64_t hash) const noexcept { __builtin_prefetch(home_of(hash)); }
  // Calls `visit(cell)` for the cells that may hold the key, until it returns true.
  template <class Visit>
  Place find(std::uint64_t hash, Visit visit) const noexcept {
    Bucket* home = home_of(hash);
    const std::uint16_t tag = tag_of(hash);
    if (const Place place = find_in(home, tag, visit); place.bucket != nullptr) return place;
    if (away_count(*home) == 0) return {};
    return find_in(other_of(home, tag), tag, visit);
  }
  [[nodiscard]] Place place_of(std::uint64_t hash, FlowIndex cell) const noexcept {
    return find(hash, [cell](FlowIndex found) { return found == cell; });
  }
  // False: no place, even by moving others.
  bool insert(std::uint64_t hash, FlowIndex cell, std::uint16_t due_s) noexcept;
  void erase(const Place& place) noexcept;

  [[nodiscard]] std::size_t count() const noexcept { return mask_ + 1; }
  [[nodiscard]] Bucket& at(std::size_t index) const noexcept { return buckets_[index & mask_]; }
  // Bit i: place i is taken and its time may be over.
  [[nodiscard]] static unsigned due(const Bucket& bucket, std::uint16_t now_s) noexcept {
    // Times are less than 2^15 s away, so the sign of the difference tells before from after.
#if defined(__SSE2__)
    const __m128i zero = _mm_setzero_si128();
    const __m128i tags = _mm_load_si128(reinterpret_cast<const __m128i*>(bucket.tags.data()));
    const __m128i times = _mm_load_si128(reinterpret_cast<const __m128i*>(bucket.due_s.data()));
    const __m128i left = _mm_sub_epi16(times, _mm_set1_epi16(static_cast<short>(now_s)));
    const __m128i not_due = _mm_or_si128(_mm_cmpgt_epi16(left, zero), _mm_cmpeq_epi16(tags, zero));
    return ~static_cast<unsigned>(_mm_movemask_epi8(_mm_packs_epi16(not_due, zero))) & 0xffu;
#else
    unsigned bits = 0;
    for (std::size_t i = 0; i < kPlaces; ++i) {
      const auto left = static_cast<std::int16_t>(bucket.due_s[i] - now_s);
      bits |= unsigned{left <= 0 && bucket.tags[i] != 0} << i;
    }
    return bits;
#endif
  }

 private:
  static constexpr std::uint32_t kCellMask = (1u << 26) - 1;
  static constexpr std::uint32_t kAway = 1u << 31;
  static constexpr int kAwayCountShift = 26;
  static constexpr std::uint32_t kAwayCountMax = 31;  // reached: stays, and costs a line a miss

  [[nodiscard]] static std::uint16_t tag_of(std::uint64_t hash) noexcept {
    const auto tag = static_cast<std::uint16_t>(hash >> 48);
    return tag == 0 ? 1 : tag;
  }
  [[nodiscard]] Bucket* home_of(std::uint64_t hash) const noexcept {
    return buckets_ + (hash & mask_);
  }
  // Symmetric: of the other bucket this is the first.
  [[nodiscard]] Bucket* other_of(const Bucket* bucket, std::uint16_t tag) const noexcept {
    const auto at = static_cast<std::size_t>(bucket - buckets_);
    return buckets_ + (at ^ (((tag * 0x5bd1e995u) | 1u) & mask_));
  }
  [[nodiscard]] static std::uint32_t away_count(const Bucket& bucket) noexcept {
    return (bucket.cells[0] >> kAwayCountShift) & kAwayCountMax;
  }
  static void count_away(Bucket& home, int change) noexcept;
  static void put(Bucket& bucket, std::size_t index, std::uint16_t tag, std::uint16_t due_s,
                  FlowIndex cell, bool away) noexcept;
  [[nodiscard]] bool make_room(Bucket* bucket) noexcept;

  // Bit i: tags[i] == tag.
  [[nodiscard]] static unsigned matches(const Bucket& bucket, std::uint16_t tag) noexcept {
#if defined(__SSE2__)
    const __m128i tags = _mm_load_si128(reinterpret_cast<const __m128i*>(bucket.tags.data()));
    const __m128i equal = _mm_cmpeq_epi16(tags, _mm_set1_epi16(static_cast<short>(tag)));
    return static_cast<unsigned>(_mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128())));
#else
    unsigned bits = 0;
    for (std::size_t i = 0; i < kPlaces; ++i) bits |= unsigned{bucket.tags[i] == tag} << i;
    return bits;
#endif
  }
  template <class Visit>
  static Place find_in(Bucket* bucket, std::uint16_t tag, Visit& visit) noexcept {
    for (unsigned bits = matches(*bucket, tag); bits != 0; bits &= bits - 1) {
      const auto index = static_cast<std::size_t>(std::countr_zero(bits));
      if (visit(bucket->cells[index] & kCellMask)) return {bucket, index};
    }
    return {};
  }

  Bucket* buckets_;
  std::size_t mask_;
};

}  // namespace sluice::dataplane
