// SPDX-License-Identifier: Apache-2.0
//
// How a batch reads its images: OneImage where all keys ask the same, ManyImages where each has its
// own. Both offer
//   levels()           of the rows; 0: no rule names a network
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
    if (!opens_any()) return 0;
    alignas(kLineBytes) std::uint8_t pages[kBatchMax];
    _mm512_store_si512(pages, port_map_pages(batch));
    std::uint64_t open = 0;
    for (std::size_t key = 0; key < batch.count; key += kWide) {
      const __m512i service = batch.service.load(key);
      const __m128i page_bytes = _mm_load_si128(reinterpret_cast<const __m128i*>(pages + key));
      const __m512i page = _mm512_slli_epi32(_mm512_cvtepu8_epi32(page_bytes), 5);
      const __m512i word = _mm512_and_si512(_mm512_srli_epi32(service, 3), all(kPageBytes - 4));
      const __m512i at = _mm512_add_epi32(_mm512_add_epi32(by_axis(head_.any_at, batch, key), page),
                                          _mm512_add_epi32(word, all(kPortMapPages)));
      const __m512i bit = _mm512_sllv_epi32(all(1), _mm512_and_si512(service, all(31)));
      open |= std::uint64_t{_mm512_test_epi32_mask(gather(image_, at), bit)} << key;
    }
    return open;
  }

  [[gnu::always_inline]] void descend(Batch& batch) const {
    find_slices(batch);
    for (std::size_t level = head_.levels - 1; level != 0; --level) step(batch, level);
    step(batch, 0);
  }

  [[gnu::always_inline]] void load_slots(Batch& batch) const {
    for (std::size_t key = 0; key < batch.count; key += kWide) {
      const __m512i axis = _mm512_sllv_epi32(all(1), axes_of(batch, key));
      const __mmask16 varies = _mm512_testn_epi32_mask(axis, all(head_.constant));
      const __m512i interval = _mm512_maskz_slli_epi32(varies, batch.place.load(key), 3);
      const __m512i at = _mm512_add_epi32(by_axis(head_.sets_at, batch, key), interval);
      const __m512i low = _mm512_i32gather_epi64(_mm512_castsi512_si256(at), image_, 1);
      const __m512i high = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(at, 1), image_, 1);
      _mm512_store_si512(batch.slot + key, low);
      _mm512_store_si512(batch.slot + key + kHalf, high);
    }
  }

 private:
  [[gnu::always_inline]] static __m512i axes_of(const Batch& batch, std::size_t key) {
    return _mm512_srli_epi32(batch.service.load(key), 16);
  }
  [[gnu::always_inline]] static __m512i by_axis(const std::uint32_t (&numbers)[kAxes],
                                                const Batch& batch, std::size_t key) {
    const __m512i room = _mm512_maskz_loadu_epi32((1 << kAxes) - 1, numbers);
    return _mm512_permutexvar_epi32(axes_of(batch, key), room);
  }

  [[gnu::always_inline]] bool opens_any() const {
    const __m512i maps = _mm512_maskz_loadu_epi32((1 << kAxes) - 1, head_.any_at);
    return _mm512_mask_cmpneq_epi32_mask((1 << kAxes) - 1, maps, all(kNothingLine * kLineBytes)) !=
           0;
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

  // Where the search begins in the last level.
  [[gnu::always_inline]] void find_slices(Batch& batch) const {
    if constexpr (sizeof(Number) == 4) {
      if (head_.slices <= kWide) return find_few_slices<1>(batch);
      if (head_.slices <= 4 * kWide) return find_few_slices<4>(batch);
      for (std::size_t key = 0; key < batch.count; key += kWide) {
        const __m512i offset = _mm512_slli_epi32(slice_of(batch, key), 2);
        batch.place.store(key, gather(at<Line>(image_, head_.slices_at[0]), offset));
      }
    } else {
      const auto number = [](std::uint64_t n) {
        return _mm512_set1_epi64(static_cast<long long>(n));
      };
      for (std::size_t key = 0; key < batch.count; key += kHalf) {
        const __m512i address = _mm512_min_epu64(load(batch.high + key), number(head_.top));
        __m512i base = number(head_.base[0]), shift = number(head_.shift[0]);
        __m512i slices = number(head_.slices_at[0]);
        for (std::size_t i = 1; i < head_.pieces; ++i) {
          const __mmask8 above = _mm512_cmpgt_epu64_mask(address, number(head_.last[i - 1]));
          base = _mm512_mask_mov_epi64(base, above, number(head_.base[i]));
          shift = _mm512_mask_mov_epi64(shift, above, number(head_.shift[i]));
          slices = _mm512_mask_mov_epi64(slices, above, number(head_.slices_at[i]));
        }
        const __m512i slice =
            _mm512_srlv_epi64(_mm512_sub_epi64(_mm512_max_epu64(address, base), base), shift);
        const __m512i at = _mm512_add_epi64(slices, _mm512_slli_epi64(slice, 2));
        _mm256_store_si256(reinterpret_cast<__m256i*>(batch.place.of + key),
                           _mm512_i64gather_epi32(at, image_, 1));
      }
    }
  }

  // The same where the slices are so few that registers hold them.
  template <std::size_t kLines>
  [[gnu::always_inline]] void find_few_slices(Batch& batch) const {
    const Line* lines = at<Line>(image_, head_.slices_at[0]);
    const std::size_t last = (head_.slices - 1) / kWide;
    __m512i starts[kLines];
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kLines; ++i) starts[i] = load(lines + (i < last ? i : last));
    for (std::size_t key = 0; key < batch.count; key += kWide) {
      const __m512i slice = slice_of(batch, key);
      if constexpr (kLines == 1) {
        batch.place.store(key, _mm512_permutexvar_epi32(slice, starts[0]));
      } else {
        batch.place.store(key, of_64(starts, slice));
      }
    }
  }

  // Of 16 IPv4 keys the slices, counted through all pieces.
  [[gnu::always_inline]] __m512i slice_of(const Batch& batch, std::size_t key) const {
    const auto number = [](std::uint64_t n) { return all(static_cast<std::uint32_t>(n)); };
    const __m512i address = _mm512_min_epu32(batch.address.load(key), number(head_.top));
    __m512i base = number(head_.base[0]), shift = all(head_.shift[0]), first = all(0);
    for (std::size_t i = 1; i < head_.pieces; ++i) {
      const __mmask16 above = _mm512_cmpgt_epu32_mask(address, number(head_.last[i - 1]));
      base = _mm512_mask_mov_epi32(base, above, number(head_.base[i]));
      shift = _mm512_mask_mov_epi32(shift, above, all(head_.shift[i]));
      first =
          _mm512_mask_mov_epi32(first, above, all((head_.slices_at[i] - head_.slices_at[0]) / 4));
    }
    const __m512i offset = _mm512_sub_epi32(_mm512_max_epu32(address, base), base);
    return _mm512_add_epi32(first, _mm512_srlv_epi32(offset, shift));
  }

  // From a place in one level to that in the next, or to the interval.
  [[gnu::always_inline]] void step(Batch& batch, std::size_t level) const {
    constexpr int kSize = sizeof(Number) == 4 ? 2 : 3;
    for (std::size_t key = 0; key < batch.count; key += kWide) {
      batch.where.store(key, _mm512_add_epi32(all(head_.level_at[level]),
                                              _mm512_slli_epi32(batch.place.load(key), kSize)));
    }
    const __m128i fan = _mm_cvtsi32_si128(level == 0 ? 0 : sizeof(Number) == 4 ? 4 : 3);
    for (std::size_t key = 0; key < batch.count; key += kWide) {
      const __m512i below = count_each([&](std::size_t i) {
        return borders_below<Number>(at<Line>(image_, batch.where.of[key + i]), batch, key + i);
      });
      batch.place.store(key, _mm512_sll_epi32(_mm512_add_epi32(batch.place.load(key), below), fan));
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
      const auto* lines = reinterpret_cast<const Line*>(&head_of(images_[i], family));
      for (std::size_t line = 0; line < kHeadLines; ++line) __builtin_prefetch(lines + line);
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
#pragma GCC unroll 4
    for (std::size_t i = 0; i < batch.count; ++i) {
      const std::uint64_t address = sizeof(Number) == 4 ? batch.address.of[i] : batch.high[i];
      batch.place.of[i] = slice_start(images_[i], head(i), address);
    }
    for (std::size_t level = levels() - 1; level != 0; --level) step(batch, level);
#pragma GCC unroll 4
    for (std::size_t i = 0; i < batch.count; ++i) {
      const auto* borders = at<Number>(images_[i], head(i).level_at[0]) + batch.place.of[i];
      batch.place.of[i] += below(borders, batch, i);
    }
  }

  [[gnu::always_inline]] void load_slots(Batch& batch) const {
#pragma GCC unroll 4
    for (std::size_t i = 0; i < batch.count; ++i)
      batch.slot[i] = slot_in(images_[i], head(i), batch.axis(i), batch.place.of[i]).bits;
  }

 private:
  [[gnu::always_inline]] const FamilyHead& head(std::size_t i) const {
    return head_of(images_[i], family_);
  }

  [[gnu::always_inline]] static std::uint32_t below(const Number* borders, const Batch& batch,
                                                    std::size_t i) {
    return static_cast<std::uint32_t>(_mm_popcnt_u32(borders_below<Number>(borders, batch, i)));
  }

  // Images that have no such level wait.
  [[gnu::always_inline]] void step(Batch& batch, std::size_t level) const {
#pragma GCC unroll 4
    for (std::size_t i = 0; i < batch.count; ++i) {
      const std::uint32_t place = batch.place.of[i];
      const auto* borders = at<Number>(images_[i], head(i).level_at[level]);
      const bool waits = level >= head(i).levels;
      const auto next = (place + below(borders + (waits ? 0 : place), batch, i)) *
                        static_cast<std::uint32_t>(kFan<Number>);
      batch.place.of[i] = waits ? place : next;
    }
  }

  Family family_;
  std::size_t levels_;
  const Line* images_[kBatchMax];
};

}  // namespace
}  // namespace sluice::rules
