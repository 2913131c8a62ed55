// SPDX-License-Identifier: Apache-2.0
//
// The Internet checksum (RFC 1071) of headers and transports.
#pragma once

#include <cstddef>
#include <cstdint>

#include "rules/address.h"

namespace sluice::dataplane {

// Of an IPv4 header of `size` bytes, a multiple of 4.
[[nodiscard]] bool is_ipv4_checksum_right(const std::uint8_t* header, std::size_t size) noexcept;

// Of a whole transport packet with its pseudo-header. True for protocols that have no checksum of
// this kind, and for UDP over IPv4 sent without one. At most 65,535 bytes.
[[nodiscard]] bool is_transport_checksum_right(const rules::Address& a, const rules::Address& b,
                                               std::uint8_t protocol, const std::uint8_t* bytes,
                                               std::size_t size) noexcept;

}  // namespace sluice::dataplane
