// SPDX-License-Identifier: Apache-2.0
//
// A packet as one would tell a colleague about it: what it is, not its bytes. The model judges
// these; a builder makes frames of them for the pipeline.
#pragma once

#include <cstdint>
#include <optional>

#include "rules/address.h"

namespace sluice::oracle {

// What is wrong with it, if anything, that needs no memory to see.
enum class Defect : std::uint8_t {
  none,
  header_checksum,     // IPv4
  transport_checksum,  // TCP, UDP, echo; not in fragments
  options,             // IPv4
  extensions,          // IPv6: one header too many
  flags,               // TCP: none set
  port,                // TCP, UDP: destination port 0
};

// The place of a fragment in its datagram.
struct Piece {
  std::uint32_t id = 0;
  std::uint32_t offset_bytes = 0;
  std::uint32_t size_bytes = 0;
  bool more = false;
};

// The packet that an ICMP error quotes; an echo request if ICMP (identifier: source_port).
struct Quoted {
  rules::Address source, destination;
  std::uint8_t protocol = 6;
  std::uint16_t source_port = 0, destination_port = 0;
};

// Where a TCP segment lies in its conversation.
enum class Numbers : std::uint8_t {
  right,    // as the sender's stack would number it
  outside,  // far away from all that was sent and acknowledged
};

struct SpokenPacket {
  bool from_outside = true;
  std::uint16_t vlan = 0;  // 0: untagged
  rules::Address source, destination;
  std::uint8_t protocol = 6;
  std::uint16_t source_port = 0, destination_port = 0;  // TCP, UDP, SCTP
  std::uint8_t tcp_flags = 0;
  std::uint16_t payload_bytes = 0;
  Numbers numbers = Numbers::right;
  std::uint8_t icmp_type = 0, icmp_code = 0;
  std::uint16_t echo_id = 0;
  std::optional<Quoted> quoted;
  std::optional<Piece> piece;
  Defect defect = Defect::none;
};

// The whole transport header is in the packet, so that it can be looked at.
[[nodiscard]] bool has_transport_header(const SpokenPacket& packet);
// What may be said of a fragment without knowing the others.
[[nodiscard]] bool is_sane(const Piece& piece, std::uint8_t protocol);

}  // namespace sluice::oracle
