// SPDX-License-Identifier: Apache-2.0
//
// The headers of a frame for people to read: as far as they are there, whatever is wrong with them.
// Nothing is judged here; the parser of the pipeline does that (packet.h).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "rules/address.h"

namespace sluice::dataplane {

struct FrameHeaders {
  std::uint16_t ethertype = 0;
  std::vector<std::uint16_t> vlans;
  std::optional<rules::Address> source, destination;  // ARP: sender and target
  std::optional<std::uint8_t> protocol;               // behind the extension headers
  std::uint8_t hop_limit = 0;
  std::uint16_t fragment_offset_bytes = 0;
  bool more_fragments = false;
  std::optional<std::uint16_t> source_port, destination_port;
  std::optional<std::uint8_t> tcp_flags;
  std::uint32_t tcp_seq = 0, tcp_ack = 0;  // where there are flags
  std::optional<std::uint8_t> icmp_type, icmp_code;
  [[nodiscard]] bool is_fragment() const { return fragment_offset_bytes != 0 || more_fragments; }
};

// `head` may end anywhere.
[[nodiscard]] FrameHeaders read_headers(std::span<const std::uint8_t> head);

// "TCP 10.1.2.3:4000 > 10.0.0.10:80 SYN"; of what is not IP its frame type.
[[nodiscard]] std::string describe(const FrameHeaders& headers);
// "SYN,ACK"; empty: none.
[[nodiscard]] std::string tcp_flags_text(std::uint8_t flags);

}  // namespace sluice::dataplane
