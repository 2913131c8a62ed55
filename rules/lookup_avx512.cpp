// SPDX-License-Identifier: Apache-2.0
//
// The lookup with AVX-512 (with VPOPCNTDQ: Ice Lake, Zen 4 and later). Keys go through each stage
// side by side, so that what one waits for is hidden behind the others. What one comparison with a
// line finds is stored as a mask; 16 keys at a time make their next step from their masks. A batch
// of one policy, which most are where traffic is heavy, gathers from one image what a mixed batch
// loads key by key.
#include <immintrin.h>

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
  Column service;
  Column axis;
  Column node;     // on the way down; then the interval
  Column where;    // of the line to compare with, in bytes from the image
  Column reached;  // masks of comparisons
  Column set;      // SetRef::bits, where the slot is a ref
  // What holds in the interval, as SetSlot::bits.
  alignas(kLineBytes) std::uint64_t slot[kBatchMax];
};
// One 64-bit number a key: half of kWide to a vector.
constexpr std::size_t kHalf = kWide / 2;

template <class Number>
[[gnu::always_inline]] inline std::uint32_t borders_below(const void* node, const Batch& batch,
                                                          std::size_t i) {
  if constexpr (sizeof(Number) == 4) {
    return _mm512_cmplt_epu32_mask(load(node), all(batch.address.of[i]));
  } else {
    const auto high = static_cast<long long>(batch.keys[i].remote.high);
    return _mm512_cmplt_epu64_mask(load(node), _mm512_set1_epi64(high));
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
    batch.service.store(key, _mm512_and_si512(rest, all(0xffff)));
    batch.axis.store(key, axis);
    ipv6 |= std::uint64_t{_mm512_test_epi32_mask(family, all(0xff))} << key;
  }
  return ipv6;
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

// A batch of one policy and direction.
template <class Number>
class OneImage {
 public:
  OneImage(const Line* image, Family family) : image_(image), head_(head_of(image, family)) {}

  [[gnu::always_inline]] std::size_t levels() const { return head_.levels; }
  [[gnu::always_inline]] const Line* image(std::size_t) const { return image_; }

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
      if (level < kLevelsMax && nodes <= 8) {
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
      for (std::size_t key = 0; key < batch.count; key += kWide)
        batch.node.store(key, _mm512_setzero_si512());
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

  template <std::size_t kPlace>
  [[gnu::always_inline]] __m512i by_axis(const Batch& batch, std::size_t key) const {
    const __m512i line = load(reinterpret_cast<const Line*>(&head_) + kPlace / kWide);
    return _mm512_permutexvar_epi32(_mm512_add_epi32(batch.axis.load(key), all(kPlace % kWide)),
                                    line);
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
        bytes_of(batch.count, [&](std::size_t key) { return batch.axis.load(key); });
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

  [[gnu::always_inline]] std::uint64_t any_source(const Batch& batch) const {
    std::uint64_t open = 0;
#pragma GCC unroll 4
    for (std::size_t i = 0; i < batch.count; ++i) {
      const std::size_t map = head(i).any_at[batch.axis.of[i]];
      const bool is_open = is_in_port_map(images_[i], map, batch.service.of[i]);
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
      batch.slot[i] = slot_in(images_[i], head(i), batch.axis.of[i], batch.node.of[i]).bits;
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

// Of 16 keys: is the count of turns reached odd? Only the `ref.length()` turns from the place on
// count.
[[gnu::always_inline]] inline std::uint64_t is_odd(__m512i reached, __m512i refs) {
  const __m512i place = _mm512_slli_epi32(_mm512_and_si512(refs, all(7)), 2);
  const __m512i length = _mm512_and_si512(_mm512_srli_epi32(refs, 3), all(31));
  const __m512i outside = _mm512_sllv_epi32(all(~0u), length);
  const __m512i turns = _mm512_andnot_si512(outside, _mm512_srlv_epi32(reached, place));
  return _mm512_test_epi32_mask(_mm512_popcnt_epi32(turns), all(1));
}

[[gnu::noinline]] bool holds_large(const Line* image, SetRef set, std::uint32_t service) {
  const Line* line = image + set.line();
  if (set.kind() == SetKind::bitmap)
    return is_in_bitmap(reinterpret_cast<const std::uint32_t*>(line), service);
  const __m512i wide = _mm512_set1_epi16(static_cast<short>(service));
  const Line* page = line + 1 + _mm_popcnt_u32(_mm512_cmplt_epu16_mask(load(line), wide));
  const auto below =
      static_cast<std::uint32_t>(_mm_popcnt_u32(_mm512_cmplt_epu16_mask(load(page), wide)));
  return (below ^ set.length()) & 1u;
}

// High halves inside which the answer changes go on by the low half.
[[gnu::noinline]] SetSlot descend_low(const Line* image, SetRef set, std::size_t axis,
                                      std::uint64_t low) {
  const auto& head = *reinterpret_cast<const FamilyHead*>(image + set.line());
  const __m512i address = _mm512_set1_epi64(static_cast<long long>(low));
  std::uint32_t node = 0;
  for (std::size_t level = kLevelsMax - head.levels; level < kLevelsMax; ++level) {
    const Line* line = at<Line>(image, head.level_at[level]) + node;
    node = node * 8 +
           static_cast<std::uint32_t>(_mm_popcnt_u32(_mm512_cmplt_epu64_mask(load(line), address)));
  }
  return slot_in(image, head, axis, node);
}

[[gnu::always_inline]] inline std::uint64_t bit(std::size_t i) {
  return std::uint64_t{1} << i;
}

// Keys whose slots are refs.
[[gnu::always_inline]] inline std::uint64_t find_refs(const Batch& batch) {
  std::uint64_t refs = 0;
  const __m512i least = _mm512_set1_epi64(1ll << 48);
  for (std::size_t key = 0; key < batch.count; key += kHalf)
    refs |= std::uint64_t{_mm512_cmplt_epu64_mask(load(batch.slot + key), least)} << key;
  return refs;
}

// Is the service in the slot? Right for slots that are no refs. What fills a slot up is reached by
// the service 65535 alone; those keys are asked again one by one.
[[gnu::always_inline]] inline std::uint64_t ask_slots(const Batch& batch) {
  std::uint64_t allowed = 0, last = 0;
  // Each service four times, beside the four turns.
  const __m512i spread = _mm512_set1_epi64(0x0100010001000100);
  for (std::size_t key = 0; key < batch.count; key += kHalf) {
    const __m256i numbers =
        _mm256_load_si256(reinterpret_cast<const __m256i*>(batch.service.of + key));
    const __m512i service = _mm512_shuffle_epi8(
        _mm512_cvtepu32_epi64(numbers),
        _mm512_add_epi8(spread, _mm512_set_epi64(0x0808080808080808, 0, 0x0808080808080808, 0,
                                                 0x0808080808080808, 0, 0x0808080808080808, 0)));
    std::uint32_t reached = _mm512_cmple_epu16_mask(load(batch.slot + key), service);
    reached ^= reached >> 1;
    reached ^= reached >> 2;
    allowed |= std::uint64_t{_pext_u32(reached, 0x11111111)} << key;
  }
  for (std::size_t key = 0; key < batch.count; key += kWide)
    last |= std::uint64_t{_mm512_cmpeq_epi32_mask(batch.service.load(key), all(65535))} << key;
  for (; last != 0; last &= last - 1) {
    const auto i = static_cast<std::size_t>(__builtin_ctzll(last));
    allowed = SetSlot{batch.slot[i]}.holds(65535) ? allowed | bit(i) : allowed & ~bit(i);
  }
  return allowed;
}

// Is the service in the set? All keys of the batch; right for those in `refs`.
template <class Images>
[[gnu::noinline]] std::uint64_t ask_sets(Batch& batch, const Images& images, std::uint64_t refs) {
  for (std::size_t i = 0; i < batch.count; ++i)
    batch.set.of[i] = (refs >> i) & 1 ? static_cast<std::uint32_t>(batch.slot[i]) : 0;
  for (std::size_t key = 0; key < batch.count; key += kWide) {
    const __m512i line = _mm512_srli_epi32(batch.set.load(key), 11);
    batch.where.store(key, _mm512_slli_epi32(line, 6));
  }
#pragma GCC unroll 4
  for (std::size_t i = 0; i < batch.count; ++i) {
    const Line* line = at<Line>(images.image(i), batch.where.of[i]);
    batch.reached.of[i] = _mm512_cmple_epu16_mask(load(line), wide_service(batch, i));
  }
  std::uint64_t allowed = 0, large = 0;
  for (std::size_t key = 0; key < batch.count; key += kWide) {
    const __m512i sets = batch.set.load(key);
    large |= std::uint64_t{_mm512_test_epi32_mask(sets, all(0x700))} << key;
    allowed |= is_odd(batch.reached.load(key), sets) << key;
  }
  allowed &= ~large;
  for (; large != 0; large &= large - 1) {
    const auto i = static_cast<std::size_t>(__builtin_ctzll(large));
    const bool holds = holds_large(images.image(i), {batch.set.of[i]}, batch.service.of[i]);
    allowed |= std::uint64_t{holds} << i;
  }
  return allowed;
}

template <class Number, class Images>
[[gnu::always_inline]] inline std::uint64_t ask(Batch& batch, const Images& images) {
  const std::uint64_t any = images.any_source(batch);
  if (images.levels() == 0 || any == ~std::uint64_t{0} >> (kBatchMax - batch.count)) return any;
  images.descend(batch);
  images.load_slots(batch);
  std::uint64_t refs = find_refs(batch);
  if constexpr (sizeof(Number) == 8) {
    for (std::uint64_t left = refs; left != 0; left &= left - 1) {
      const auto i = static_cast<std::size_t>(__builtin_ctzll(left));
      const SetRef set = SetSlot{batch.slot[i]}.ref();
      if (set.kind() != SetKind::tree) continue;
      const SetSlot low =
          descend_low(images.image(i), set, batch.axis.of[i], batch.keys[i].remote.low);
      batch.slot[i] = low.bits;
      if (!low.is_ref()) refs &= ~bit(i);
    }
  }
  const std::uint64_t allowed = any | ask_slots(batch);
  if (refs == 0) return allowed;
  return (allowed & (~refs | any)) | (ask_sets(batch, images, refs) & refs);
}

template <class Number>
[[gnu::noinline]] std::uint64_t ask_one(Batch& batch, const Line* image, Family family) {
  return ask<Number>(batch, OneImage<Number>(image, family));
}
template <class Number>
[[gnu::noinline]] std::uint64_t ask_many(Batch& batch, const ImageSet& set, Family family) {
  return ask<Number>(batch, ManyImages<Number>(set, batch, family));
}

[[gnu::always_inline]] inline bool is_of_one_policy(const Batch& batch) {
  const __m512i first = all(batch.policy.of[0]);
  std::uint32_t others = 0;
  for (std::size_t key = 0; key < batch.count; key += kWide)
    others |= _mm512_cmpneq_epi32_mask(batch.policy.load(key), first);
  return others == 0;
}

// The answers for a batch of one family; `batch` has its columns.
std::uint64_t ask_family(Batch& batch, const ImageSet& set, Family family) {
  if (is_of_one_policy(batch)) {
    const Line* image = set.images[batch.policy.of[0]];
    return family == Family::ipv4 ? ask_one<std::uint32_t>(batch, image, family)
                                  : ask_one<std::uint64_t>(batch, image, family);
  }
  return family == Family::ipv4 ? ask_many<std::uint32_t>(batch, set, family)
                                : ask_many<std::uint64_t>(batch, set, family);
}

// Room for keys that a batch of its own is made of, filled up to a multiple of kWide.
class Padded {
 public:
  void add(const PacketKey& key) { __builtin_memcpy(keys() + count_++, &key, sizeof(PacketKey)); }
  [[nodiscard]] std::size_t count() const { return count_; }
  std::uint64_t ask(Batch& batch, const ImageSet& set, Family family) {
    if (count_ == 0) return 0;
    batch.keys = keys();
    batch.count = (count_ + kWide - 1) / kWide * kWide;
    const std::size_t last = count_ - 1;
    while (count_ < batch.count) add(keys()[last]);
    load_columns(batch);
    return ask_family(batch, set, family);
  }

 private:
  PacketKey* keys() { return reinterpret_cast<PacketKey*>(bytes_); }
  alignas(kLineBytes) unsigned char bytes_[kBatchMax * sizeof(PacketKey)];
  std::size_t count_ = 0;
};

// Both families, or a count that fills no vector: each family on its own, and the answers back to
// their places.
[[gnu::noinline]] std::uint64_t ask_apart(const ImageSet& set, const PacketKey* keys,
                                          std::size_t count) {
  Batch batch;
  Padded four, six;
  std::uint64_t ipv6 = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const bool is_ipv6 = keys[i].remote.family == Family::ipv6;
    ipv6 |= std::uint64_t{is_ipv6} << i;
    (is_ipv6 ? six : four).add(keys[i]);
  }
  const std::uint64_t all_keys = ~std::uint64_t{0} >> (kBatchMax - count);
  std::uint64_t fours = four.ask(batch, set, Family::ipv4);
  if (ipv6 == 0) return fours & all_keys;
  std::uint64_t sixes = six.ask(batch, set, Family::ipv6);
  if (ipv6 == all_keys) return sixes & all_keys;
  return _pdep_u64(fours, all_keys & ~ipv6) | _pdep_u64(sixes, ipv6);
}

}  // namespace

std::uint64_t lookup_batch_avx512(const ImageSet& set, const PacketKey* keys,
                                  std::size_t count) noexcept {
  if (count == 0) return 0;
  if (count % kWide != 0) return ask_apart(set, keys, count);
  Batch batch;
  batch.keys = keys;
  batch.count = count;
  const std::uint64_t ipv6 = load_columns(batch);
  if (ipv6 == 0) return ask_family(batch, set, Family::ipv4);
  if (ipv6 == ~std::uint64_t{0} >> (kBatchMax - count)) return ask_family(batch, set, Family::ipv6);
  return ask_apart(set, keys, count);
}

}  // namespace sluice::rules
