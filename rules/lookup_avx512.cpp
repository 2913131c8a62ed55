// SPDX-License-Identifier: Apache-2.0
//
// The lookup with AVX-512 (with VBMI, BITALG and VPOPCNTDQ: Ice Lake, Zen 4 and later). Keys go
// through each stage side by side, so that what one waits for is hidden behind the others. What one
// comparison with a line finds is a mask; 16 keys at a time make their next step from their masks.
// A batch of one policy, which most are where traffic is heavy, gathers from one image what a mixed
// batch loads key by key.
#include "rules/lookup_avx512_images.h"

namespace sluice::rules {
namespace {

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
[[gnu::noinline]] SetSlot descend_low(const Line* image, SetRef ref, std::size_t axis,
                                      std::uint64_t low) {
  const auto& head = *reinterpret_cast<const FamilyHead*>(image + ref.line());
  const __m512i address = _mm512_set1_epi64(static_cast<long long>(low));
  std::uint32_t place = slice_start(image, head, low);
  for (std::size_t level = head.levels; level-- > 0;) {
    const auto* borders = at<std::uint64_t>(image, head.level_at[level]) + place;
    const __mmask8 below = _mm512_cmplt_epu64_mask(_mm512_loadu_si512(borders), address);
    place += static_cast<std::uint32_t>(_mm_popcnt_u32(below));
    if (level != 0) place *= 8;
  }
  return slot_in(image, head, axis, place);
}
[[gnu::always_inline]] inline SetSlot slot_of_low(const Line* image, SetRef ref, std::size_t axis,
                                                  std::uint64_t low) {
  if (ref.kind() != SetKind::leaf) return descend_low(image, ref, axis, low);
  const auto& leaf = *reinterpret_cast<const LowLeaf*>(image + ref.line());
  const __m256i borders = _mm256_load_si256(reinterpret_cast<const __m256i*>(leaf.borders));
  const __m256i address = _mm256_set1_epi64x(static_cast<long long>(low));
  const std::uint32_t below = _mm256_cmplt_epu64_mask(borders, address);
  return slot_in(image, leaf, axis, static_cast<std::uint32_t>(_mm_popcnt_u32(below)));
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

// Of `refs` those that go on by the low half.
[[gnu::always_inline]] inline std::uint64_t find_lows(const Batch& batch, std::uint64_t refs) {
  std::uint64_t lows = 0;
  const __m512i is_low = _mm512_set1_epi64(0x400);
  for (std::size_t key = 0; key < batch.count; key += kHalf)
    lows |= std::uint64_t{_mm512_test_epi64_mask(load(batch.slot + key), is_low)} << key;
  return lows & refs;
}

// Is the service in the slot? Right for slots that are no refs. What fills a slot up is reached by
// the service 65535 alone; those keys are asked again one by one.
[[gnu::always_inline]] inline std::uint64_t ask_slots(const Batch& batch) {
  std::uint64_t allowed = 0, last = 0;
  // Each service four times, beside the four turns. (A shuffle counts from its own 16 bytes.)
  constexpr long long kLow = 0x0100010001000100, kHigh = 0x0908090809080908;
  const __m512i spread = _mm512_set4_epi64(kHigh, kLow, kHigh, kLow);
  for (std::size_t key = 0; key < batch.count; key += kHalf) {
    const __m256i numbers =
        _mm256_load_si256(reinterpret_cast<const __m256i*>(batch.service.of + key));
    const __m512i service = _mm512_shuffle_epi8(_mm512_cvtepu32_epi64(numbers), spread);
    std::uint32_t reached = _mm512_cmple_epu16_mask(load(batch.slot + key), service);
    reached ^= reached >> 1;
    reached ^= reached >> 2;
    allowed |= std::uint64_t{_pext_u32(reached, 0x11111111)} << key;
  }
  for (std::size_t key = 0; key < batch.count; key += kWide)
    last |= std::uint64_t{_mm512_cmpeq_epi32_mask(
                _mm512_or_si512(batch.service.load(key), all(0xffff0000)), all(~0u))}
            << key;
  for (; last != 0; last &= last - 1) {
    const auto i = static_cast<std::size_t>(__builtin_ctzll(last));
    allowed = SetSlot{batch.slot[i]}.holds(65535) ? allowed | bit(i) : allowed & ~bit(i);
  }
  return allowed;
}

// Is the service in the set?
[[gnu::always_inline]] inline bool holds(const Line* image, SetRef set, std::uint32_t service) {
  if (!set.is_list()) return holds_large(image, set, service);
  const __m512i wide = _mm512_set1_epi16(static_cast<short>(service));
  const std::uint32_t reached = _mm512_cmple_epu16_mask(load(image + set.line()), wide);
  return _mm_popcnt_u32(_bzhi_u32(reached >> (set.place() * 4), set.length())) & 1;
}

[[gnu::always_inline]] inline bool holds(const Line* image, SetSlot slot, std::uint32_t service) {
  if (slot.is_ref()) return holds(image, slot.ref(), service);
  const __m128i turns = _mm_cvtsi64_si128(static_cast<long long>(slot.bits));
  const __m128i wide = _mm_set1_epi16(static_cast<short>(service));
  const __mmask8 used = _mm_cmpneq_epu16_mask(turns, _mm_set1_epi16(-1));
  const std::uint32_t reached = _mm_mask_cmple_epu16_mask(used & 0xf, turns, wide);
  return _mm_popcnt_u32(reached) & 1;
}

// The same for all keys of the batch; right for those in `refs`.
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
    const bool holds = holds_large(images.image(i), {batch.set.of[i]}, batch.number(i));
    allowed |= std::uint64_t{holds} << i;
  }
  return allowed;
}

// Those of the batch that no rule opens to every source.
template <class Number, class Images>
[[gnu::always_inline]] inline std::uint64_t ask_addresses(Batch& batch, const Images& images) {
  images.descend(batch);
  images.load_slots(batch);
  std::uint64_t allowed = ask_slots(batch);
  const std::uint64_t refs = find_refs(batch);
  if (refs == 0) return allowed;
  allowed &= ~refs;
  std::uint64_t sets = refs;
  if constexpr (sizeof(Number) == 8) {
    std::uint64_t lows = find_lows(batch, refs);
    sets &= ~lows;
    for (; lows != 0; lows &= lows - 1) {
      const auto i = static_cast<std::size_t>(__builtin_ctzll(lows));
      const SetSlot slot = slot_of_low(images.image(i), SetSlot{batch.slot[i]}.ref(), batch.axis(i),
                                       batch.keys[batch.from.of[i]].remote.low);
      allowed |= std::uint64_t{holds(images.image(i), slot, batch.number(i))} << i;
    }
  }
  if (static_cast<std::size_t>(_mm_popcnt_u64(sets)) > kWide)
    return allowed | (ask_sets(batch, images, sets) & sets);
  for (; sets != 0; sets &= sets - 1) {
    const auto i = static_cast<std::size_t>(__builtin_ctzll(sets));
    const SetRef set = SetSlot{batch.slot[i]}.ref();
    allowed |= std::uint64_t{holds(images.image(i), set, batch.number(i))} << i;
  }
  return allowed;
}

template <class Number, class Images>
[[gnu::always_inline]] inline std::uint64_t ask(Batch& batch, Images images) {
  const std::uint64_t open = images.any_source(batch);
  const std::uint64_t left = ~open & (~std::uint64_t{0} >> (kBatchMax - batch.count));
  if (images.levels() == 0 || left == 0) return open;
  const auto count = static_cast<std::size_t>(_mm_popcnt_u64(left));
  if (padded(count) == batch.count) {
    if constexpr (sizeof(Number) == 8) load_highs(batch);
    return open | ask_addresses<Number>(batch, images);
  }
  images.keep(left);
  keep<Number>(batch, left, count);
  return open | _pdep_u64(ask_addresses<Number>(batch, images), left);
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
