// SPDX-License-Identifier: Apache-2.0
//
// How a batch reads its images: OneImage where all keys ask the same, ManyImages where each has its
// own. Both offer
//   levels()           of the trees; 0: no rule names a network
//   image(i)           of key i
//   any_source(batch)  bit i: the service of key i is open to any source
//   descend(batch)     addresses to intervals, in batch.node
//   load_slots(batch)  what holds there, in batch.slot
// For lookup_avx512.cpp alone; the rules of lookup_stages.h hold.
#pragma once

#include "rules/lookup_avx512_batch.h"

namespace sluice::rules {
namespace {

// A batch of one policy and direction.
template <class Number>
class OneImage {
 public:
  OneImage(const Line* image, Family family) : image_(image), head_(head_of(image, family)) {}

  [[gnu::always_inline]] std::size_t levels() const { return head_.levels; }
  [[gnu::always_inline]] const Line* image(std::size_t) const { return image_; }
  [[gnu::always_inline]] void keep(std::uint64_t) const {}

  // The page of each service from the maps in registers, then its word from the page.
  [[gnu::always_inline]] std::uint64_t any_source(const Batch& batch) const {
    alignas(kLineBytes) std::uint8_t pages[kBatchMax];
    _mm512_store_si512(pages, port_map_pages(batch));
    std::uint64_t open = 0;
    for (std::size_t key = 0; key < batch.count; key += kWide) {
      const __m512i service = batch.service.load(key);
      const __m128i page_bytes = _mm_load_si128(reinterpret_cast<const __m128i*>(pages + key));
      const __m512i page = _mm512_slli_epi32(_mm512_cvtepu8_epi32(page_bytes), 5);
      const __m512i word = _mm512_and_si512(_mm512_srli_epi32(service, 3), all(kPageBytes - 4));
      const __m512i at = _mm512_add_epi32(_mm512_add_epi32(by_axis<kAnyAt>(batch, key), page),
                                          _mm512_add_epi32(word, all(kPortMapPages)));
      const __m512i bit = _mm512_sllv_epi32(all(1), _mm512_and_si512(service, all(31)));
      open |= std::uint64_t{_mm512_test_epi32_mask(gather(image_, at), bit)} << key;
    }
    return open;
  }

  // The first two levels are searched by halving in registers, where they fit; in the others each
  // key has a line to compare with.
  [[gnu::always_inline]] void descend(Batch& batch) const {
    std::size_t level = kLevelsMax - levels();
    if constexpr (sizeof(Number) == 4) {
      const __m512i root = load(at<Line>(image_, head_.level_at[level]));
      for (std::size_t key = 0; key < batch.count; key += kWide) {
        batch.node.store(key, halve(batch.address.load(key), _mm512_setzero_si512(),
                                    [&](__m512i i) { return _mm512_permutexvar_epi32(i, root); }));
      }
      ++level;
      const auto nodes =
          static_cast<std::size_t>(_mm_popcnt_u32(_mm512_cmpneq_epi32_mask(root, all(~0u))) + 1);
      if (level < kLevelsMax && nodes <= 4) {
        const Line* lines = at<Line>(image_, head_.level_at[level++]);
        if (nodes <= 2) {
          second_level<1>(batch, lines, nodes);
        } else if (nodes <= 4) {
          second_level<2>(batch, lines, nodes);
        } else {
          second_level<4>(batch, lines, nodes);
        }
      }
    } else {
      const __m512i root = load(at<Line>(image_, head_.level_at[level++]));
      const auto nodes = static_cast<std::size_t>(
          _mm_popcnt_u32(_mm512_cmpneq_epi64_mask(root, _mm512_set1_epi64(-1))) + 1);
      if (level < kLevelsMax) {
        const Line* lines = at<Line>(image_, head_.level_at[level++]);
        if (nodes <= 4) {
          first_levels<2>(batch, root, lines, nodes);
        } else {
          first_levels<4>(batch, root, lines, nodes);
        }
      } else {
        first_levels<0>(batch, root, nullptr, 0);
      }
    }
    for (; level < kLevelsMax; ++level) step(batch, level);
  }

  [[gnu::always_inline]] void load_slots(Batch& batch) const {
    for (std::size_t key = 0; key < batch.count; key += kWide) {
      const __m512i interval = _mm512_and_si512(batch.node.load(key), by_axis<kMask>(batch, key));
      const __m512i at =
          _mm512_add_epi32(by_axis<kSetsAt>(batch, key), _mm512_slli_epi32(interval, 3));
      const __m512i low = _mm512_i32gather_epi64(_mm512_castsi512_si256(at), image_, 1);
      const __m512i high = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(at, 1), image_, 1);
      _mm512_store_si512(batch.slot + key, low);
      _mm512_store_si512(batch.slot + key + kHalf, high);
    }
  }

 private:
  // Places in the head, in 32-bit numbers.
  static constexpr std::size_t kMask = offsetof(FamilyHead, interval_mask) / 4;
  static constexpr std::size_t kSetsAt = offsetof(FamilyHead, sets_at) / 4;
  static constexpr std::size_t kAnyAt = offsetof(FamilyHead, any_at) / 4;

  [[gnu::always_inline]] static __m512i axes_of(const Batch& batch, std::size_t key) {
    return _mm512_srli_epi32(batch.service.load(key), 16);
  }

  template <std::size_t kPlace>
  [[gnu::always_inline]] __m512i by_axis(const Batch& batch, std::size_t key) const {
    const __m512i line = load(reinterpret_cast<const Line*>(&head_) + kPlace / kWide);
    return _mm512_permutexvar_epi32(_mm512_add_epi32(axes_of(batch, key), all(kPlace % kWide)), line);
  }

  // A byte a key, of 64 keys.
  template <class NumbersOf>
  [[gnu::always_inline]] static __m512i bytes_of(std::size_t count, NumbersOf numbers_of) {
    __m512i bytes = _mm512_castsi128_si512(_mm512_cvtepi32_epi8(numbers_of(0)));
    if (count > kWide)
      bytes = _mm512_inserti32x4(bytes, _mm512_cvtepi32_epi8(numbers_of(kWide)), 1);
    if (count > 2 * kWide)
      bytes = _mm512_inserti32x4(bytes, _mm512_cvtepi32_epi8(numbers_of(2 * kWide)), 2);
    if (count > 3 * kWide)
      bytes = _mm512_inserti32x4(bytes, _mm512_cvtepi32_epi8(numbers_of(3 * kWide)), 3);
    return bytes;
  }

  // The page of each key's service, a byte a key.
  [[gnu::always_inline]] __m512i port_map_pages(const Batch& batch) const {
    const __m512i index = bytes_of(batch.count, [&](std::size_t key) {
      return _mm512_srli_epi32(batch.service.load(key), 8);
    });
    const __m512i axis =
        bytes_of(batch.count, [&](std::size_t key) { return axes_of(batch, key); });
    const __mmask64 upper_half = _mm512_movepi8_mask(index);
    __m512i page = _mm512_setzero_si512();
    for (std::size_t i = 0; i < kAxes; ++i) {
      if (head_.any_at[i] == kNothingLine * kLineBytes) continue;
      const Line* map = at<Line>(image_, head_.any_at[i]);
      const __m512i lower = _mm512_permutex2var_epi8(load(map), index, load(map + 1));
      const __m512i upper = _mm512_permutex2var_epi8(load(map + 2), index, load(map + 3));
      const __mmask64 of_axis =
          _mm512_cmpeq_epi8_mask(axis, _mm512_set1_epi8(static_cast<char>(i)));
      page = _mm512_mask_mov_epi8(page, of_axis, _mm512_mask_blend_epi8(upper_half, lower, upper));
    }
    return page;
  }

  // The count of borders below the address among the 15 that begin at index `first`.
  template <class BorderAt>
  [[gnu::always_inline]] static __m512i halve(__m512i address, __m512i first, BorderAt border_at) {
    __m512i below = first;
#pragma GCC unroll 4
    for (std::uint32_t half = 8; half != 0; half /= 2) {
      const __m512i border = border_at(_mm512_add_epi32(below, all(half - 1)));
      below =
          _mm512_mask_add_epi32(below, _mm512_cmplt_epu32_mask(border, address), below, all(half));
    }
    return below;
  }

  // Up to 2 * kPairs nodes.
  template <std::size_t kPairs>
  [[gnu::always_inline]] static void second_level(Batch& batch, const Line* lines,
                                                  std::size_t nodes) {
    __m512i node[8];
#pragma GCC unroll 8
    for (std::size_t i = 0; i < 2 * kPairs; ++i)
      node[i] = load(lines + (i < nodes ? i : nodes - 1));
    for (std::size_t key = 0; key < batch.count; key += kWide) {
      const __m512i first = _mm512_slli_epi32(batch.node.load(key), 4);
      const __mmask16 odd_pair = _mm512_test_epi32_mask(first, all(32));
      const __mmask16 upper = _mm512_test_epi32_mask(first, all(64));
      batch.node.store(key, halve(batch.address.load(key), first, [&](__m512i i) {
                         const auto pair = [&](std::size_t n) {
                           return _mm512_permutex2var_epi32(node[2 * n], i, node[2 * n + 1]);
                         };
                         if constexpr (kPairs == 1) return pair(0);
                         const __m512i lower = _mm512_mask_blend_epi32(odd_pair, pair(0), pair(1));
                         if constexpr (kPairs == 2) return lower;
                         return _mm512_mask_blend_epi32(
                             upper, lower, _mm512_mask_blend_epi32(odd_pair, pair(2), pair(3)));
                       }));
    }
  }

  // The same for 64-bit borders, 7 to a node: the root, and up to 2 * kPairs nodes below it.
  template <std::size_t kPairs>
  [[gnu::always_inline]] static void first_levels(Batch& batch, __m512i root, const Line* lines,
                                                  std::size_t nodes) {
    const auto number = [](long long n) { return _mm512_set1_epi64(n); };
    const auto halve = [&](__m512i address, __m512i first, auto border_at) {
      __m512i below = first;
#pragma GCC unroll 3
      for (long long half = 4; half != 0; half /= 2) {
        const __m512i border = border_at(_mm512_add_epi64(below, number(half - 1)));
        below = _mm512_mask_add_epi64(below, _mm512_cmplt_epu64_mask(border, address), below,
                                      number(half));
      }
      return below;
    };
    __m512i node[8];
#pragma GCC unroll 8
    for (std::size_t i = 0; i < 2 * kPairs; ++i)
      node[i] = load(lines + (i < nodes ? i : nodes - 1));
    for (std::size_t key = 0; key < batch.count; key += kHalf) {
      const __m512i address = load(batch.high + key);
      __m512i below = halve(address, _mm512_setzero_si512(),
                            [&](__m512i i) { return _mm512_permutexvar_epi64(i, root); });
      if constexpr (kPairs != 0) {
        const __m512i first = _mm512_slli_epi64(below, 3);
        const __mmask8 odd_pair = _mm512_test_epi64_mask(first, number(16));
        const __mmask8 upper = _mm512_test_epi64_mask(first, number(32));
        below = halve(address, first, [&](__m512i i) {
          const auto pair = [&](std::size_t n) {
            return _mm512_permutex2var_epi64(node[2 * n], i, node[2 * n + 1]);
          };
          const __m512i lower = _mm512_mask_blend_epi64(odd_pair, pair(0), pair(1));
          if constexpr (kPairs == 2) return lower;
          return _mm512_mask_blend_epi64(upper, lower,
                                         _mm512_mask_blend_epi64(odd_pair, pair(2), pair(3)));
        });
      }
      _mm256_store_si256(reinterpret_cast<__m256i*>(batch.node.of + key),
                         _mm512_cvtepi64_epi32(below));
    }
  }

  [[gnu::always_inline]] void step(Batch& batch, std::size_t level) const {
    for (std::size_t key = 0; key < batch.count; key += kWide) {
      batch.where.store(key, _mm512_add_epi32(all(head_.level_at[level]),
                                              _mm512_slli_epi32(batch.node.load(key), 6)));
    }
    constexpr int kShift = sizeof(Number) == 4 ? 4 : 3;
    for (std::size_t key = 0; key < batch.count; key += kWide) {
      const __m512i below = count_each([&](std::size_t i) {
        return borders_below<Number>(at<Line>(image_, batch.where.of[key + i]), batch, key + i);
      });
      batch.node.store(key,
                       _mm512_add_epi32(_mm512_slli_epi32(batch.node.load(key), kShift), below));
    }
  }

  const Line* image_;
  const FamilyHead& head_;
};

// A batch of many policies: each key has its own image.
template <class Number>
class ManyImages {
 public:
  ManyImages(const ImageSet& set, const Batch& batch, Family family)
      : family_(family), levels_(family == Family::ipv4 ? set.levels.ipv4 : set.levels.ipv6) {
#pragma GCC unroll 4
    for (std::size_t i = 0; i < batch.count; ++i) {
      images_[i] = set.images[batch.policy.of[i]];
      __builtin_prefetch(&head_of(images_[i], family));
      __builtin_prefetch(head_of(images_[i], family).sets_at);
    }
  }

  [[gnu::always_inline]] std::size_t levels() const {
    return levels_;
  }
  [[gnu::always_inline]] const Line* image(std::size_t i) const {
    return images_[i];
  }

  [[gnu::always_inline]] void keep(std::uint64_t left) {
    std::size_t to = 0;
    for (; left != 0; left &= left - 1)
      images_[to++] = images_[static_cast<std::size_t>(__builtin_ctzll(left))];
    for (; to % kWide != 0; ++to) images_[to] = images_[0];
  }

  [[gnu::always_inline]] std::uint64_t any_source(const Batch& batch) const {
    std::uint64_t open = 0;
#pragma GCC unroll 4
    for (std::size_t i = 0; i < batch.count; ++i) {
      const std::size_t map = head(i).any_at[batch.axis(i)];
      const bool is_open = is_in_port_map(images_[i], map, batch.number(i));
      open |= std::uint64_t{is_open} << i;
    }
    return open;
  }

  [[gnu::always_inline]] void descend(Batch& batch) const {
    for (std::size_t key = 0; key < batch.count; key += kWide)
      batch.node.store(key, _mm512_setzero_si512());
    for (std::size_t level = kLevelsMax - levels(); level < kLevelsMax; ++level) step(batch, level);
  }

  [[gnu::always_inline]] void load_slots(Batch& batch) const {
#pragma GCC unroll 4
    for (std::size_t i = 0; i < batch.count; ++i)
      batch.slot[i] = slot_in(images_[i], head(i), batch.axis(i), batch.node.of[i]).bits;
  }

 private:
  [[gnu::always_inline]] const FamilyHead& head(std::size_t i) const {
    return head_of(images_[i], family_);
  }

  [[gnu::always_inline]] void step(Batch& batch, std::size_t level) const {
    constexpr auto kFan = static_cast<std::uint32_t>(kChildren<Number>);
#pragma GCC unroll 4
    for (std::size_t i = 0; i < batch.count; ++i) {
      const std::uint32_t node = batch.node.of[i];
      const Line* line = at<Line>(images_[i], head(i).level_at[level]) + node;
      batch.node.of[i] = node * kFan + static_cast<std::uint32_t>(
                                           _mm_popcnt_u32(borders_below<Number>(line, batch, i)));
    }
  }

  Family family_;
  std::size_t levels_;
  const Line* images_[kBatchMax];
};

}  // namespace
}  // namespace sluice::rules
