// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dhcp.h"

namespace sluice::dataplane {
namespace {

using rules::Address;
using rules::Family;

constexpr std::uint16_t kClient4 = 68, kServer4 = 67, kClient6 = 546, kServer6 = 547;
constexpr std::size_t kUdpBytes = 8;
constexpr std::size_t kBootpBytes = 236;  // RFC 2131 §2: then the magic cookie
constexpr std::uint32_t kMagicCookie = 0x63825363;
constexpr std::uint8_t kRequest = 1, kReply = 2;
constexpr Address kNobody = Address::ipv4(0), kEverybody = Address::ipv4(0xffffffff);
// All_DHCP_Relay_Agents_and_Servers, RFC 8415 §7.1.
constexpr Address kServers6 = Address::ipv6(0xff02ull << 48, 0x10002);

std::uint16_t u16(const std::uint8_t* at) {
  return static_cast<std::uint16_t>(at[0] << 8 | at[1]);
}

bool is_link_local(const Address& address) {
  return address.family == Family::ipv6 && address.high >> 54 == 0xfe80u >> 6;
}

Dhcp dhcp4_of(bool inbound, const Address& source, const Address& destination,
              const std::uint8_t* message, std::size_t size) {
  if (size < kBootpBytes + 4 || message[0] != (inbound ? kReply : kRequest)) return Dhcp::none;
  const std::uint8_t* cookie = message + kBootpBytes;
  if ((std::uint32_t{u16(cookie)} << 16 | u16(cookie + 2)) != kMagicCookie) return Dhcp::none;
  if (inbound) return destination == kEverybody ? Dhcp::link : Dhcp::unicast;
  if (source == kNobody) return destination == kEverybody ? Dhcp::link : Dhcp::none;
  return Dhcp::unicast;
}

// Solicit, request and so on, from clients; advertise, reply, reconfigure from servers.
Dhcp dhcp6_of(bool inbound, const Address& source, const Address& destination,
              const std::uint8_t* message, std::size_t size) {
  if (size < 4) return Dhcp::none;
  const std::uint8_t type = message[0];
  const bool is_servers = type == 2 || type == 7 || type == 10;
  const bool is_clients =
      type == 1 || (type >= 3 && type <= 6) || type == 8 || type == 9 || type == 11;
  if (inbound ? !is_servers : !is_clients) return Dhcp::none;
  if (!is_link_local(source)) return Dhcp::none;
  return (inbound ? is_link_local(destination) : destination == kServers6) ? Dhcp::link
                                                                           : Dhcp::none;
}

}  // namespace

Dhcp dhcp_of(rules::Direction direction, const Address& source, const Address& destination,
             const std::uint8_t* udp, std::size_t size) noexcept {
  if (size < kUdpBytes) return Dhcp::none;
  const std::size_t length = u16(udp + 4);
  if (length < kUdpBytes || length > size) return Dhcp::none;
  const bool inbound = direction == rules::Direction::inbound;
  const std::uint16_t from = u16(udp), to = u16(udp + 2);
  const bool v4 = source.family == Family::ipv4;
  const std::uint16_t client = v4 ? kClient4 : kClient6, server = v4 ? kServer4 : kServer6;
  if (from != (inbound ? server : client) || to != (inbound ? client : server)) return Dhcp::none;
  return (v4 ? dhcp4_of : dhcp6_of)(inbound, source, destination, udp + kUdpBytes,
                                    length - kUdpBytes);
}

}  // namespace sluice::dataplane
