// SPDX-License-Identifier: Apache-2.0
#include "dataplane/checksum.h"

#include <bit>
#include <cstring>

#include "rules/model.h"

namespace sluice::dataplane {
namespace {

// The sum does not depend on byte order but for the order of its result (RFC 1071 §2 B), and wider
// words with the carry added back give the same sum: eight bytes at a time.
std::uint64_t add(std::uint64_t sum, std::uint64_t word) noexcept {
  sum += word;
  return sum + (sum < word ? 1 : 0);
}

std::uint64_t add_bytes(std::uint64_t sum, const std::uint8_t* bytes, std::size_t size) noexcept {
  std::uint64_t word = 0;
  for (; size >= 8; bytes += 8, size -= 8) {
    std::memcpy(&word, bytes, 8);
    sum = add(sum, word);
  }
  if (size & 4) {
    std::uint32_t half = 0;
    std::memcpy(&half, bytes, 4);
    sum = add(sum, half);
    bytes += 4;
  }
  word = 0;
  for (std::size_t i = 0; i < (size & 3); ++i)
    std::memcpy(reinterpret_cast<char*>(&word) + i, bytes + i, 1);
  return add(sum, word);
}

std::uint16_t fold(std::uint64_t sum) noexcept {
  sum = (sum >> 32) + (sum & 0xffffffff);
  sum = (sum >> 32) + (sum & 0xffffffff);
  sum = (sum >> 16) + (sum & 0xffff);
  sum = (sum >> 16) + (sum & 0xffff);
  return static_cast<std::uint16_t>(sum);
}

std::uint64_t swapped(std::uint64_t word) noexcept {
  return std::endian::native == std::endian::little ? __builtin_bswap64(word) : word;
}

std::uint64_t add_address(std::uint64_t sum, const rules::Address& address) noexcept {
  return add(add(sum, swapped(address.high)), swapped(address.low));
}

}  // namespace

bool is_transport_checksum_right(const rules::Address& a, const rules::Address& b,
                                 std::uint8_t protocol, const std::uint8_t* bytes,
                                 std::size_t size) noexcept {
  const bool pseudo_header = protocol != rules::kProtocolIcmp;
  switch (protocol) {
    case rules::kProtocolUdp:
      if (size < 8) return false;
      // RFC 768: 0 is "none"; RFC 8200 §8.1: not over IPv6.
      if (bytes[6] == 0 && bytes[7] == 0) return a.family == rules::Family::ipv4;
      break;
    case rules::kProtocolTcp:
    case rules::kProtocolIcmp:
    case rules::kProtocolIcmpv6:
      break;
    default:
      return true;
  }
  std::uint64_t sum = add_bytes(0, bytes, size);
  if (pseudo_header) {
    sum = add_address(add_address(sum, a), b);
    sum = add(sum, swapped((std::uint64_t{protocol} << 32) | static_cast<std::uint32_t>(size)));
  }
  return fold(sum) == 0xffff;
}

}  // namespace sluice::dataplane
