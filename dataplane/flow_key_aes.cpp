// SPDX-License-Identifier: Apache-2.0
//
// The flow hash by AES rounds: a fifth of SipHash's cost. Each block of the key is mixed by keyed
// rounds of the cipher; three at the end let every bit of the key reach every bit of the hash
// (two would do for bytes). It is no cipher, and needs to be none: nobody outside sees a hash.
#include "dataplane/flow_key.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace sluice::dataplane {

bool has_aes_hash() noexcept {
  __builtin_cpu_init();  // asked for before main
  return __builtin_cpu_supports("aes") && __builtin_cpu_supports("sse4.1");
}

#define SLUICE_AES __attribute__((target("aes,sse4.1")))

namespace {

struct RoundKeys {
  __m128i first, second, third;
};

// Round keys that differ in every bit pattern (digits of pi), so that rounds do not cancel.
SLUICE_AES inline RoundKeys round_keys(const HashSecret& secret) noexcept {
  const __m128i first =
      _mm_set_epi64x(static_cast<long long>(secret.k1), static_cast<long long>(secret.k0));
  return {first, _mm_xor_si128(first, _mm_set_epi64x(0x243f6a8885a308d3, 0x13198a2e03707344)),
          _mm_xor_si128(first, _mm_set_epi64x(static_cast<long long>(0xa4093822299f31d0u),
                                              0x082efa98ec4e6c89))};
}

SLUICE_AES inline std::uint64_t finish(__m128i state, const RoundKeys& keys) noexcept {
  state = _mm_aesenc_si128(state, keys.second);
  state = _mm_aesenc_si128(state, keys.third);
  state = _mm_aesenc_si128(state, keys.first);
  return static_cast<std::uint64_t>(_mm_cvtsi128_si64(state));
}

}  // namespace

SLUICE_AES std::uint64_t aes_hash_of(const FlowKey& key, const HashSecret& secret) noexcept {
  const RoundKeys keys = round_keys(secret);
  const auto identity = static_cast<long long>(key.identity());
  __m128i state;
  if (key.family == rules::Family::ipv4) {
    state = _mm_set_epi64x(identity, static_cast<long long>(key.ipv4_addresses()));
    state = _mm_xor_si128(state, keys.first);
  } else {
    state = _mm_loadu_si128(reinterpret_cast<const __m128i*>(&key.local_high));
    state = _mm_aesenc_si128(_mm_xor_si128(state, keys.first), keys.second);
    state = _mm_aesenc_si128(state, keys.third);
    state =
        _mm_xor_si128(state, _mm_loadu_si128(reinterpret_cast<const __m128i*>(&key.remote_high)));
    state = _mm_aesenc_si128(state, keys.second);
    state = _mm_aesenc_si128(state, keys.third);
    state = _mm_xor_si128(state, _mm_set_epi64x(identity, identity));
  }
  return finish(state, keys);
}

SLUICE_AES void aes_hash_each(std::span<const Ipv4FlowWords> flows, const HashSecret& secret,
                              std::uint64_t* hashes) noexcept {
  const RoundKeys keys = round_keys(secret);
  for (std::size_t i = 0; i < flows.size(); ++i) {
    const __m128i state = _mm_loadu_si128(reinterpret_cast<const __m128i*>(&flows[i]));
    hashes[i] = finish(_mm_xor_si128(state, keys.first), keys);
  }
}

#undef SLUICE_AES

}  // namespace sluice::dataplane

#else

namespace sluice::dataplane {

bool has_aes_hash() noexcept {
  return false;
}
std::uint64_t aes_hash_of(const FlowKey& key, const HashSecret& secret) noexcept {
  return siphash_of(key, secret);
}
void aes_hash_each(std::span<const Ipv4FlowWords> flows, const HashSecret& secret,
                   std::uint64_t* hashes) noexcept {
  for (std::size_t i = 0; i < flows.size(); ++i) hashes[i] = siphash_of(flows[i].key(), secret);
}

}  // namespace sluice::dataplane

#endif
