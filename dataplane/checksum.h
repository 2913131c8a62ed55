// SPDX-License-Identifier: Apache-2.0
//
// The Internet checksum (RFC 1071) of headers and transports.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "rules/address.h"

namespace sluice::dataplane {

// Of an IPv4 header of `size` bytes, at least 20 and a multiple of 4. Here, because every packet
// asks.
[[nodiscard]] inline bool is_ipv4_checksum_right(const std::uint8_t* header,
                                                 std::size_t size) noexcept {
  // Words of 32 bits in 64: cannot overflow. The fixed part by hand, as a loop over so few words
  // would be made wide and slow.
  std::uint64_t first = 0, second = 0;
  std::uint32_t third = 0;
  std::memcpy(&first, header, 8);
  std::memcpy(&second, header + 8, 8);
  std::memcpy(&third, header + 16, 4);
  std::uint64_t sum =
      (first >> 32) + (first & 0xffffffff) + (second >> 32) + (second & 0xffffffff) + third;
  for (std::size_t i = 20; i < size; i += 4) {
    std::memcpy(&third, header + i, 4);
    sum += third;
  }
  sum = (sum >> 32) + (sum & 0xffffffff);
  sum = (sum >> 16) + (sum & 0xffff);
  sum = (sum >> 16) + (sum & 0xffff);
  return sum == 0xffff;
}

// Of a whole transport packet with its pseudo-header. True for protocols that have no checksum of
// this kind, and for UDP over IPv4 sent without one. At most 65,535 bytes.
[[nodiscard]] bool is_transport_checksum_right(const rules::Address& a, const rules::Address& b,
                                               std::uint8_t protocol, const std::uint8_t* bytes,
                                               std::size_t size) noexcept;

}  // namespace sluice::dataplane
