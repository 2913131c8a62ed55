// SPDX-License-Identifier: Apache-2.0
//
// The Internet checksum (RFC 1071) of headers and transports.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "rules/address.h"

namespace sluice::dataplane {

// Of an IPv4 header of `size` bytes, a multiple of 4. Here, because every packet asks.
[[nodiscard]] inline bool is_ipv4_checksum_right(const std::uint8_t* header,
                                                 std::size_t size) noexcept {
  std::uint64_t sum = 0;  // of at most 15 words of 32 bits: cannot overflow
  for (std::size_t i = 0; i < size; i += 4) {
    std::uint32_t word = 0;
    std::memcpy(&word, header + i, 4);
    sum += word;
  }
  sum = (sum >> 32) + (sum & 0xffffffff);
  sum = (sum >> 16) + (sum & 0xffff);
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
