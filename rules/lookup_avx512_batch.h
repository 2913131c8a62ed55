// SPDX-License-Identifier: Apache-2.0
//
// A batch of keys as columns, and the few AVX-512 operations that all stages are made of. For
// lookup_avx512.cpp alone; the rules of lookup_stages.h hold.
#pragma once

#include <immintrin.h>

#include <cstddef>

#include "rules/lookup_stages.h"

namespace sluice::rules {
namespace {

constexpr std::size_t kWide = 16;  // keys that one vector of 32-bit numbers holds

[[gnu::always_inline]] inline __m512i load(const void* line) {
  return _mm512_load_si512(line);
}
[[gnu::always_inline]] inline __m512i all(std::uint32_t number) {
  return _mm512_set1_epi32(static_cast<int>(number));
}
[[gnu::always_inline]] inline __m512i gather(const Line* image, __m512i offsets) {
  return _mm512_i32gather_epi32(offsets, image, 1);
}

// One 32-bit number a key.
struct alignas(kLineBytes) Column {
  std::uint32_t of[kBatchMax];
  [[gnu::always_inline]] __m512i load(std::size_t key) const { return _mm512_load_si512(of + key); }
  [[gnu::always_inline]] void store(std::size_t key, __m512i numbers) {
    _mm512_store_si512(of + key, numbers);
  }
};

struct Batch {
  const PacketKey* keys;
  std::size_t count;  // a multiple of kWide
  Column address;     // its low 32 bits
  Column policy;      // policy * 2 + direction
  Column service;     // with its axis: axis << 16 | number
  Column from;        // index in `keys`
  Column place;       // among the borders of a level; then the interval
  Column where;       // of the line to compare with, in bytes from the image
  Column reached;     // masks of comparisons
  Column set;         // SetRef::bits, where the slot is a ref
  alignas(kLineBytes) std::uint64_t high[kBatchMax];  // half of the address; IPv6 only
  // What holds in the interval, as SetSlot::bits.
  alignas(kLineBytes) std::uint64_t slot[kBatchMax];

  [[gnu::always_inline]] std::uint32_t number(std::size_t i) const {
    return service.of[i] & 0xffff;
  }
  [[gnu::always_inline]] std::uint32_t axis(std::size_t i) const { return service.of[i] >> 16; }
};
// One 64-bit number a key: half of kWide to a vector.
constexpr std::size_t kHalf = kWide / 2;

template <class Number>
[[gnu::always_inline]] inline std::uint32_t borders_below(const void* borders, const Batch& batch,
                                                          std::size_t i) {
  if constexpr (sizeof(Number) == 4) {
    return _mm512_cmplt_epu32_mask(_mm512_loadu_si512(borders), all(batch.address.of[i]));
  } else {
    const auto high = static_cast<long long>(batch.high[i]);
    return _mm512_cmplt_epu64_mask(_mm512_loadu_si512(borders), _mm512_set1_epi64(high));
  }
}
[[gnu::always_inline]] inline __m512i wide_service(const Batch& batch, std::size_t i) {
  return _mm512_set1_epi16(static_cast<short>(batch.service.of[i]));
}

// Keys as columns: from the 32 bytes of each the words 2 (address), 4 (family), 6 (policy) and 7
// (service, protocol, direction). Bit i of the answer: keys[i] is IPv6.
static_assert(sizeof(PacketKey) == 32 && offsetof(PacketKey, policy) == 24 &&
              offsetof(PacketKey, service) == 28 && offsetof(PacketKey, protocol) == 30 &&
              offsetof(PacketKey, direction) == 31);
[[gnu::always_inline]] inline std::uint64_t load_columns(Batch& batch) {
  const __m512i pick =
      _mm512_setr_epi32(2, 10, 18, 26, 4, 12, 20, 28, 6, 14, 22, 30, 7, 15, 23, 31);
  std::uint64_t ipv6 = 0;
  for (std::size_t key = 0; key < batch.count; key += kWide) {
    const auto* two = reinterpret_cast<const char*>(batch.keys + key);
    __m512i four[4];  // keys each: addresses, families, policies, services
#pragma GCC unroll 4
    for (std::size_t i = 0; i < 4; ++i) {
      four[i] = _mm512_permutex2var_epi32(_mm512_loadu_si512(two + i * 128), pick,
                                          _mm512_loadu_si512(two + i * 128 + 64));
    }
    const __m512i a = _mm512_shuffle_i32x4(four[0], four[1], 0x44);
    const __m512i b = _mm512_shuffle_i32x4(four[2], four[3], 0x44);
    const __m512i c = _mm512_shuffle_i32x4(four[0], four[1], 0xee);
    const __m512i d = _mm512_shuffle_i32x4(four[2], four[3], 0xee);
    batch.address.store(key, _mm512_shuffle_i32x4(a, b, 0x88));
    const __m512i family = _mm512_shuffle_i32x4(a, b, 0xdd);
    const __m512i rest = _mm512_shuffle_i32x4(c, d, 0xdd);
    const __m512i policy = _mm512_shuffle_i32x4(c, d, 0x88);
    const __m512i direction = _mm512_srli_epi32(rest, 24);
    const __m512i protocol = _mm512_and_si512(_mm512_srli_epi32(rest, 16), all(0xff));
    __m512i axis = all(kAxisOther);
#pragma GCC unroll 8
    for (const std::uint8_t named :
         {kProtocolTcp, kProtocolUdp, kProtocolIcmp, kProtocolIcmpv6, kProtocolSctp}) {
      axis = _mm512_mask_mov_epi32(axis, _mm512_cmpeq_epi32_mask(protocol, all(named)),
                                   all(kServiceAxes.of[named].axis));
    }
    batch.policy.store(key, _mm512_add_epi32(_mm512_add_epi32(policy, policy), direction));
    batch.service.store(key,
                        _mm512_mask_blend_epi16(0xaaaaaaaa, rest, _mm512_slli_epi32(axis, 16)));
    ipv6 |= std::uint64_t{_mm512_test_epi32_mask(family, all(0xff))} << key;
  }
  return ipv6;
}

// The high halves of the addresses, of all keys.
[[gnu::always_inline]] inline void load_highs(Batch& batch) {
  static_assert(offsetof(PacketKey, remote) + offsetof(Address, high) == 0);
  const __m512i pick = _mm512_setr_epi64(0, 4, 8, 12, 0, 4, 8, 12);
  for (std::size_t key = 0; key < batch.count; key += kHalf) {
    const auto* two = reinterpret_cast<const char*>(batch.keys + key);
    const __m512i four =
        _mm512_permutex2var_epi64(_mm512_loadu_si512(two), pick, _mm512_loadu_si512(two + 64));
    const __m512i others = _mm512_permutex2var_epi64(_mm512_loadu_si512(two + 128), pick,
                                                     _mm512_loadu_si512(two + 192));
    _mm512_store_si512(batch.high + key, _mm512_shuffle_i64x2(four, others, 0x44));
  }
  const __m512i index = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (std::uint32_t key = 0; key < batch.count; key += kWide)
    batch.from.store(key, _mm512_add_epi32(index, all(key)));
}

[[gnu::always_inline]] inline std::size_t padded(std::size_t count) {
  return (count + kWide - 1) / kWide * kWide;
}

// From 64 numbers in four vectors those of 16 indexes, of which the low 6 bits count.
[[gnu::always_inline]] inline __m512i of_64(const __m512i* numbers, __m512i index) {
  return _mm512_mask_blend_epi32(_mm512_test_epi32_mask(index, all(32)),
                                 _mm512_permutex2var_epi32(numbers[0], index, numbers[1]),
                                 _mm512_permutex2var_epi32(numbers[2], index, numbers[3]));
}

// Goes on with the keys in `left` alone, moved together. Returns nothing of the others.
template <class Number>
[[gnu::always_inline]] inline void keep(Batch& batch, std::uint64_t left, std::size_t count) {
  alignas(kLineBytes) static constexpr struct Indexes {
    constexpr Indexes() {
      for (std::size_t i = 0; i < kBatchMax; ++i) of[i] = static_cast<std::uint8_t>(i);
    }
    std::uint8_t of[kBatchMax]{};
  } kIndexes;
  alignas(kLineBytes) std::uint8_t kept[kBatchMax];
  _mm512_store_si512(kept, _mm512_maskz_compress_epi8(left, load(&kIndexes)));
  __m512i address[4], service[4];
#pragma GCC unroll 4
  for (std::size_t i = 0; i < 4; ++i) {
    address[i] = batch.address.load(i * kWide);
    service[i] = batch.service.load(i * kWide);
  }
  batch.count = padded(count);
  for (std::size_t key = 0; key < batch.count; key += kWide) {
    const __m512i from =
        _mm512_cvtepu8_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(kept + key)));
    batch.address.store(key, of_64(address, from));
    batch.service.store(key, of_64(service, from));
    if constexpr (sizeof(Number) == 8) {
      const __m512i at = _mm512_slli_epi32(from, 5);
      _mm512_store_si512(batch.high + key,
                         _mm512_i32gather_epi64(_mm512_castsi512_si256(at), batch.keys, 1));
      _mm512_store_si512(batch.high + key + kHalf,
                         _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(at, 1), batch.keys, 1));
      batch.from.store(key, from);
    }
  }
}

// The counts of bits in 16 masks of 16 bits. Masks are joined in registers: 16 narrow stores before
// a wide load would make it wait until all of them are done.
template <class Mask>
[[gnu::always_inline]] inline __m512i count_each(Mask mask) {
  const auto four = [&](std::size_t i) {
    const __mmask32 low = _mm512_kunpackw(mask(i + 1), mask(i));
    const __mmask32 high = _mm512_kunpackw(mask(i + 3), mask(i + 2));
    return static_cast<long long>(_mm512_kunpackd(high, low));
  };
  const __m256i masks = _mm256_set_epi64x(four(12), four(8), four(4), four(0));
  return _mm512_cvtepu16_epi32(_mm256_popcnt_epi16(masks));
}

}  // namespace
}  // namespace sluice::rules
