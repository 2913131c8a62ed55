// SPDX-License-Identifier: Apache-2.0
//
// Frames for tests: right by default, wrong where a test says so.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rules/address.h"

namespace sluice::tests {

using Bytes = std::vector<std::uint8_t>;

class PacketBuilder {
 public:
  PacketBuilder(const std::string& source, const std::string& destination);
  PacketBuilder(const rules::Address& source, const rules::Address& destination)
      : source_(source), destination_(destination) {}

  // The transport: one of these.
  PacketBuilder& tcp(std::uint16_t from, std::uint16_t to, std::uint8_t flags);
  // Of TCP, after tcp(): numbers, payload, and the window-scale option of a SYN.
  PacketBuilder& numbers(std::uint32_t seq, std::uint32_t ack);
  PacketBuilder& window(std::uint16_t window);
  PacketBuilder& scale(std::uint8_t shift);
  PacketBuilder& payload(std::size_t bytes);
  PacketBuilder& udp(std::uint16_t from, std::uint16_t to, std::size_t payload = 4);
  PacketBuilder& sctp(std::uint16_t from, std::uint16_t to);
  PacketBuilder& icmp(std::uint8_t type, std::uint8_t code, std::uint16_t identifier);
  // Of type and code, quoting an IP packet (without its Ethernet header).
  PacketBuilder& icmp_error(std::uint8_t type, std::uint8_t code, const Bytes& quoted);
  PacketBuilder& protocol(std::uint8_t number, Bytes payload);

  PacketBuilder& vlan(std::uint16_t id);  // again: one more tag
  PacketBuilder& hop_limit(std::uint8_t limit);
  PacketBuilder& ipv4_options();
  PacketBuilder& extension(std::uint8_t type,
                           Bytes body);  // IPv6; body without the two first bytes
  PacketBuilder& fragment(std::uint16_t offset_bytes, bool more, std::uint32_t id = 7);
  PacketBuilder& payload_of_fragment(Bytes bytes);  // instead of the transport header
  PacketBuilder& bad_checksum();                    // of the IPv4 header
  PacketBuilder& bad_transport_checksum();          // of TCP, UDP, ICMP

  [[nodiscard]] Bytes ip() const;     // from the IP header on
  [[nodiscard]] Bytes frame() const;  // padded to 60 bytes as Ethernet does

 private:
  [[nodiscard]] Bytes summed_transport() const;
  rules::Address source_, destination_;
  std::uint8_t protocol_ = 17;
  std::uint8_t hop_limit_ = 64;
  bool options_ = false, bad_checksum_ = false, bad_transport_checksum_ = false;
  Bytes transport_;
  std::vector<std::uint16_t> vlans_;
  std::vector<std::pair<std::uint8_t, Bytes>> extensions_;
  struct Fragment {
    std::uint16_t offset_bytes;
    bool more;
    std::uint32_t id;
  };
  std::optional<Fragment> fragment_;
};

[[nodiscard]] Bytes arp_frame(std::uint16_t operation, const std::string& sender,
                              const std::string& target);

}  // namespace sluice::tests
