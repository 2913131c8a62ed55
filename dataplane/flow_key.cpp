// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow_key.h"

#include <array>
#include <bit>
#include <cstring>

namespace sluice::dataplane {
namespace {

void siphash_each(std::span<const Ipv4FlowWords> flows, const HashSecret& secret,
                  std::uint64_t* hashes) noexcept {
  for (std::size_t i = 0; i < flows.size(); ++i) hashes[i] = siphash_of(flows[i].key(), secret);
}

// Chosen once, before main: one binary runs on every CPU.
const auto kHash = has_aes_hash() ? aes_hash_of : siphash_of;
const auto kHashEach = has_aes_hash() ? aes_hash_each : siphash_each;

// SipHash (Aumasson, Bernstein 2012), one round a word and three to finish.
struct SipState {
  std::uint64_t v0, v1, v2, v3;

  void round() noexcept {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void absorb(std::uint64_t word) noexcept {
    v3 ^= word;
    round();
    v0 ^= word;
  }
};

}  // namespace

std::uint64_t hash_of(const FlowKey& key, const HashSecret& secret) noexcept {
  return kHash(key, secret);
}

void hash_each(std::span<const Ipv4FlowWords> flows, const HashSecret& secret,
               std::uint64_t* hashes) noexcept {
  kHashEach(flows, secret, hashes);
}

std::uint64_t siphash_of(const FlowKey& key, const HashSecret& secret) noexcept {
  std::array<std::uint64_t, sizeof(FlowKey) / 8> words;
  std::memcpy(words.data(), &key, sizeof(key));
  SipState state{secret.k0 ^ 0x736f6d6570736575u, secret.k1 ^ 0x646f72616e646f6du,
                 secret.k0 ^ 0x6c7967656e657261u, secret.k1 ^ 0x7465646279746573u};
  for (std::uint64_t word : words) state.absorb(word);
  state.absorb(std::uint64_t{sizeof(FlowKey)} << 56);
  state.v2 ^= 0xff;
  for (int i = 0; i < 3; ++i) state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

}  // namespace sluice::dataplane
