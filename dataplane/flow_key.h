// SPDX-License-Identifier: Apache-2.0
//
// The identity of a connection, oriented by side, so that both directions build the same bytes.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "rules/address.h"

namespace sluice::dataplane {

// 40 bytes without padding: compared and hashed as words. Addresses in host order, IPv4 in *_low.
struct FlowKey {
  std::uint64_t local_high = 0;
  std::uint64_t local_low = 0;
  std::uint64_t remote_high = 0;
  std::uint64_t remote_low = 0;
  std::uint16_t local_port = 0;   // ICMP echo: the identifier
  std::uint16_t remote_port = 0;  // ICMP echo: 0
  std::uint16_t zone = 0;
  std::uint8_t protocol = 0;
  rules::Family family = rules::Family::ipv4;

  bool operator==(const FlowKey&) const = default;

  // Both IPv4 addresses in one word.
  [[nodiscard]] std::uint64_t ipv4_addresses() const noexcept {
    return (local_low << 32) | static_cast<std::uint32_t>(remote_low);
  }
  // Ports, zone, protocol and family in one word.
  [[nodiscard]] std::uint64_t identity() const noexcept {
    std::uint64_t word = 0;
    std::memcpy(&word, &local_port, sizeof(word));
    return word;
  }
  [[nodiscard]] static std::uint64_t identity_of(std::uint16_t local_port,
                                                 std::uint16_t remote_port, std::uint16_t zone,
                                                 std::uint8_t protocol,
                                                 rules::Family family) noexcept {
    if constexpr (std::endian::native == std::endian::little) {
      // In a register: a word put together in memory would stall its reader.
      return std::uint64_t{local_port} | std::uint64_t{remote_port} << 16 |
             std::uint64_t{zone} << 32 | std::uint64_t{protocol} << 48 |
             std::uint64_t{static_cast<std::uint8_t>(family)} << 56;
    } else {
      return FlowKey{0, 0, 0, 0, local_port, remote_port, zone, protocol, family}.identity();
    }
  }
  [[nodiscard]] static std::uint16_t local_port_of(std::uint64_t identity) noexcept {
    return part_of(identity, 0);
  }
  [[nodiscard]] static std::uint16_t remote_port_of(std::uint64_t identity) noexcept {
    return part_of(identity, 1);
  }
  [[nodiscard]] static std::uint16_t zone_of(std::uint64_t identity) noexcept {
    return part_of(identity, 2);
  }
  [[nodiscard]] static rules::Family family_of(std::uint64_t identity) noexcept {
    return static_cast<rules::Family>(part_of(identity, 3) >>
                                      (std::endian::native == std::endian::little ? 8 : 0));
  }
  void set_identity(std::uint64_t word) noexcept { std::memcpy(&local_port, &word, sizeof(word)); }

 private:
  // Ports and zone are its first six bytes, by two, in memory; then protocol and family.
  [[nodiscard]] static std::uint16_t part_of(std::uint64_t identity, unsigned index) noexcept {
    const unsigned shift = std::endian::native == std::endian::little ? index : 3 - index;
    return static_cast<std::uint16_t>(identity >> (16 * shift));
  }
};
static_assert(sizeof(FlowKey) == 40 && offsetof(FlowKey, local_port) == 32);

// An IPv4 key in the two words that tell it apart.
struct Ipv4FlowWords {
  std::uint64_t addresses = 0;  // FlowKey::ipv4_addresses()
  std::uint64_t identity = 0;   // FlowKey::identity(), of family IPv4

  [[nodiscard]] std::uint16_t zone() const noexcept { return FlowKey::zone_of(identity); }
  // The local address, and above it the zone: what tells LBs apart.
  [[nodiscard]] std::uint64_t place() const noexcept {
    return std::uint64_t{zone()} << 32 | addresses >> 32;
  }
  [[nodiscard]] FlowKey key() const noexcept {
    FlowKey key;
    key.local_low = addresses >> 32;
    key.remote_low = static_cast<std::uint32_t>(addresses);
    key.set_identity(identity);
    return key;
  }
};

// The secret of the node's hashes, drawn at start (RFC 6056 §3.3.3 tells why such hashes are
// keyed).
struct HashSecret {
  std::uint64_t k0 = 0;
  std::uint64_t k1 = 0;
};

// Keyed: an attacker who does not know the secret cannot choose keys that collide. AES rounds
// where the CPU has them, SipHash elsewhere: the value means something within one process only.
[[nodiscard]] std::uint64_t hash_of(const FlowKey& key, const HashSecret& secret) noexcept;

// The same of many IPv4 keys in one call; `hashes` has room for as many.
void hash_each(std::span<const Ipv4FlowWords> flows, const HashSecret& secret,
               std::uint64_t* hashes) noexcept;

// The two behind hash_of, for tests and benchmarks.
[[nodiscard]] std::uint64_t siphash_of(const FlowKey& key, const HashSecret& secret) noexcept;
[[nodiscard]] bool has_aes_hash() noexcept;
// Undefined without has_aes_hash(), like the one of many.
[[nodiscard]] std::uint64_t aes_hash_of(const FlowKey& key, const HashSecret& secret) noexcept;
void aes_hash_each(std::span<const Ipv4FlowWords> flows, const HashSecret& secret,
                   std::uint64_t* hashes) noexcept;

}  // namespace sluice::dataplane
