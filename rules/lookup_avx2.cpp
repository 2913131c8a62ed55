// SPDX-License-Identifier: Apache-2.0
//
// The lookup with AVX2: a line is two vectors. Unsigned comparisons by saturation, maximum or sign.
#include <immintrin.h>

#include "rules/lookup_each.h"

namespace sluice::rules {
namespace {

struct Lanes {
  struct Service {
    __m256i wide;
  };
  struct Address32 {
    __m256i wide;
  };
  struct Address64 {
    __m256i wide;  // less 2^63, as are the borders it is compared with
  };
  [[gnu::always_inline]] static Service service(std::uint16_t number) {
    return {_mm256_set1_epi16(static_cast<short>(number))};
  }
  [[gnu::always_inline]] static Address32 address(std::uint32_t number) {
    return {_mm256_set1_epi32(static_cast<int>(number))};
  }
  [[gnu::always_inline]] static Address64 address(std::uint64_t number) {
    return {_mm256_set1_epi64x(static_cast<long long>(number ^ (std::uint64_t{1} << 63)))};
  }
  [[gnu::always_inline]] static std::uint32_t list_parity(const Line* line, SetRef ref, Service s) {
    const __m256i low = _mm256_cmpeq_epi16(_mm256_subs_epu16(half(line, 0), s.wide), zero());
    const __m256i high = _mm256_cmpeq_epi16(_mm256_subs_epu16(half(line, 1), s.wide), zero());
    return count(_bzhi_u32(packed(low, high) >> (ref.place() * 4), ref.length()));
  }
  [[gnu::always_inline]] static std::uint32_t below16(const Line* line, Service s) {
    const __m256i low = _mm256_cmpeq_epi16(_mm256_subs_epu16(s.wide, half(line, 0)), zero());
    const __m256i high = _mm256_cmpeq_epi16(_mm256_subs_epu16(s.wide, half(line, 1)), zero());
    return 32 - count(packed(low, high));
  }
  [[gnu::always_inline]] static std::uint32_t below(const std::uint32_t* borders, Address32 a) {
    return below8(some(borders), a) + below8(some(borders + 8), a);
  }
  [[gnu::always_inline]] static std::uint32_t below(const std::uint64_t* borders, Address64 a) {
    return below4(borders, a) + below4(borders + 4, a);
  }
  [[gnu::always_inline]] static std::uint32_t below4(const std::uint64_t* borders, Address64 a) {
    return below4(some(borders), a);
  }

 private:
  [[gnu::always_inline]] static __m256i half(const void* line, int index) {
    return _mm256_load_si256(static_cast<const __m256i*>(line) + index);
  }
  [[gnu::always_inline]] static __m256i some(const void* borders) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(borders));
  }
  [[gnu::always_inline]] static __m256i zero() { return _mm256_setzero_si256(); }
  [[gnu::always_inline]] static std::uint32_t count(std::uint32_t mask) {
    return static_cast<std::uint32_t>(_mm_popcnt_u32(mask));
  }
  // A bit for each of 32 16-bit lanes that are all ones.
  [[gnu::always_inline]] static std::uint32_t packed(__m256i low, __m256i high) {
    const __m256i bytes =
        _mm256_permute4x64_epi64(_mm256_packs_epi16(low, high), _MM_SHUFFLE(3, 1, 2, 0));
    return static_cast<std::uint32_t>(_mm256_movemask_epi8(bytes));
  }
  [[gnu::always_inline]] static std::uint32_t below8(__m256i borders, Address32 a) {
    const __m256i reaches = _mm256_cmpeq_epi32(_mm256_max_epu32(a.wide, borders), borders);
    return 8 - count(static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(reaches))));
  }
  [[gnu::always_inline]] static std::uint32_t below4(__m256i borders, Address64 a) {
    const __m256i sign = _mm256_set1_epi64x(static_cast<long long>(std::uint64_t{1} << 63));
    const __m256i greater = _mm256_cmpgt_epi64(a.wide, _mm256_xor_si256(borders, sign));
    return count(static_cast<std::uint32_t>(_mm256_movemask_pd(_mm256_castsi256_pd(greater))));
  }
};

}  // namespace

std::uint64_t lookup_batch_avx2(const ImageSet& set, const PacketKey* keys,
                                std::size_t count) noexcept {
  return lookup_each<Lanes>(set, keys, count);
}

}  // namespace sluice::rules
