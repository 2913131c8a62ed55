// SPDX-License-Identifier: Apache-2.0
#include "dataplane/packet.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "dataplane/checksum.h"
#include "dataplane/dhcp.h"
#include "rules/model.h"

namespace sluice::dataplane {
namespace {

using rules::Address;
using rules::Direction;
using rules::Family;

constexpr std::uint16_t kEtherArp = 0x0806;
constexpr std::uint16_t kEtherIpv6 = 0x86dd;

constexpr int kExtensionHeadersMax = 8;

std::uint16_t big_endian(std::uint16_t value) noexcept {
  return std::endian::native == std::endian::little ? __builtin_bswap16(value) : value;
}
std::uint32_t big_endian(std::uint32_t value) noexcept {
  return std::endian::native == std::endian::little ? __builtin_bswap32(value) : value;
}

// What is left of the frame; every read is asked for first.
struct Bytes {
  const std::uint8_t* at;
  std::size_t size;

  [[nodiscard]] std::uint8_t u8(std::size_t offset) const noexcept { return at[offset]; }
  [[nodiscard]] std::uint16_t u16(std::size_t offset) const noexcept {
    std::uint16_t value = 0;
    std::memcpy(&value, at + offset, sizeof(value));
    return big_endian(value);
  }
  [[nodiscard]] std::uint32_t u32(std::size_t offset) const noexcept {
    std::uint32_t value = 0;
    std::memcpy(&value, at + offset, sizeof(value));
    return big_endian(value);
  }
  [[nodiscard]] std::uint64_t u64(std::size_t offset) const noexcept {
    return (std::uint64_t{u32(offset)} << 32) | u32(offset + 4);
  }
  [[nodiscard]] Address ipv6(std::size_t offset) const noexcept {
    return Address::ipv6(u64(offset), u64(offset + 8));
  }
  [[nodiscard]] Bytes from(std::size_t offset) const noexcept {
    return {at + offset, size - offset};
  }
};

// What IPv4 and IPv6 have in common once their headers are read.
struct IpHeader {
  Address source;
  Address destination;
  std::uint8_t protocol = 0;
  std::uint8_t hop_limit = 0;
  bool has_extensions = false;  // IPv6: anything between the header and the payload
  Bytes payload{nullptr, 0};
};

Packet& drop(Packet& packet, DropReason reason) noexcept {
  packet.kind = PacketKind::dropped;
  packet.reason = reason;
  return packet;
}

// Left to the fragment stage, after the LB is found.
Packet& leave_to_tracker(Packet& packet, DropReason reason) noexcept {
  packet.kind = PacketKind::fragment;
  packet.reason = reason;
  return packet;
}

// A first fragment must hold the whole transport header (RFC 1858); so must a whole packet.
Packet& cut_short(Packet& packet) noexcept {
  return packet.fragment.is_one ? leave_to_tracker(packet, DropReason::fragment_tiny)
                                : drop(packet, DropReason::malformed);
}

bool is_martian_ipv6(const Address& source) noexcept {
  if ((source.high >> 56) == 0xff) return true;             // multicast
  if (source.high == 0 && source.low <= 1) return true;     // ::, ::1
  return source.high == 0 && (source.low >> 32) == 0xffff;  // v4-mapped
}

void orient(Packet& packet, const Address& source, const Address& destination) noexcept {
  const bool inbound = packet.direction == Direction::inbound;
  packet.local = inbound ? destination : source;
  packet.remote = inbound ? source : destination;
}

FlowKey key_of(const Packet& packet, const Address& local, const Address& remote,
               std::uint8_t protocol, std::uint16_t local_port,
               std::uint16_t remote_port) noexcept {
  return {local.high,  local.low,   remote.high, remote.low,  local_port,
          remote_port, packet.zone, protocol,    local.family};
}

// The flow of this packet itself; ports are 0 where the protocol has none.
void set_key(Packet& packet, std::uint16_t source_port, std::uint16_t destination_port) noexcept {
  const bool inbound = packet.direction == Direction::inbound;
  packet.key =
      key_of(packet, packet.local, packet.remote, packet.protocol,
             inbound ? destination_port : source_port, inbound ? source_port : destination_port);
}

bool are_tcp_flags_sane(std::uint8_t flags) noexcept {
  constexpr std::uint8_t kAll = kTcpFin | kTcpSyn | kTcpRst | kTcpPsh | kTcpAck | kTcpUrg;
  constexpr std::uint8_t kXmas = kTcpFin | kTcpPsh | kTcpUrg;
  if ((flags & kAll) == 0 || (flags & kAll) == kXmas) return false;
  if ((flags & kTcpSyn) && (flags & (kTcpFin | kTcpRst))) return false;
  if ((flags & kTcpFin) && (flags & kTcpRst)) return false;
  return !((flags & kTcpFin) && !(flags & kTcpAck));
}

// The window scale that a SYN offers (RFC 7323 §2.2). Options that make no sense offer none.
std::uint8_t scale_of(const Bytes& options) noexcept {
  for (std::size_t at = 0; at + 1 < options.size;) {
    const std::uint8_t kind = options.u8(at);
    if (kind == 0) break;
    if (kind == 1) {
      ++at;
      continue;
    }
    const std::size_t length = options.u8(at + 1);
    if (length < 2 || length > options.size - at) break;
    if (kind == 3 && length == 3) return std::min(options.u8(at + 2), kScaleMax);
    at += length;
  }
  return kNoScale;
}

Packet& parse_tcp(Packet& packet, const IpHeader& ip) noexcept {
  const Bytes& tcp = ip.payload;
  if (tcp.size < 20) return cut_short(packet);
  const std::size_t header = (std::size_t{tcp.u8(12)} >> 4) * 4;
  if (header < 20) return drop(packet, DropReason::malformed);
  if (tcp.size < header) return cut_short(packet);
  if (tcp.u16(0) == 0 || tcp.u16(2) == 0) return drop(packet, DropReason::malformed);
  const std::uint8_t flags = tcp.u8(13);
  if (!are_tcp_flags_sane(flags)) return drop(packet, DropReason::tcp_flags);
  packet.tcp = {tcp.u32(4),  tcp.u32(8), static_cast<std::uint32_t>(tcp.size - header),
                tcp.u16(14), flags,      kNoScale};
  if ((flags & kTcpSyn) && header > 20) packet.tcp.scale = scale_of({tcp.at + 20, header - 20});
  packet.kind = PacketKind::transport;
  packet.service = tcp.u16(2);
  set_key(packet, tcp.u16(0), tcp.u16(2));
  return packet;
}

Packet& parse_udp(Packet& packet, const IpHeader& ip) noexcept {
  const Bytes& udp = ip.payload;
  if (udp.size < 8) return cut_short(packet);
  const std::uint16_t length = udp.u16(4);
  if (length < 8 || (!packet.fragment.is_one && length > udp.size))
    return drop(packet, DropReason::malformed);
  if (udp.u16(2) == 0) return drop(packet, DropReason::malformed);
  if (packet.transport != nullptr) packet.transport_size = length;
  packet.kind = PacketKind::transport;
  packet.service = udp.u16(2);
  set_key(packet, udp.u16(0), udp.u16(2));
  return packet;
}

Packet& parse_sctp(Packet& packet, const IpHeader& ip) noexcept {
  const Bytes& sctp = ip.payload;
  if (sctp.size < 12) return cut_short(packet);
  packet.kind = PacketKind::transport;
  packet.service = sctp.u16(2);
  set_key(packet, sctp.u16(0), sctp.u16(2));
  return packet;
}

// The flow of the packet that an ICMP error quotes. It travelled against the error, so the
// error's own receiver must be its sender (RFC 5927 §4 tells what else would be let in).
void read_embedded(Packet& packet, const Bytes& quoted, Family family) noexcept {
  Address source, destination;
  std::uint8_t protocol = 0;
  Bytes transport{nullptr, 0};
  if (family == Family::ipv4) {
    if (quoted.size < 20 || (quoted.u8(0) >> 4) != 4) return;
    const std::size_t header = std::size_t{quoted.u8(0)} % 16 * 4;
    if (header < 20 || quoted.size < header + 8 || (quoted.u16(6) & 0x1fff) != 0) return;
    source = Address::ipv4(quoted.u32(12));
    destination = Address::ipv4(quoted.u32(16));
    protocol = quoted.u8(9);
    transport = quoted.from(header);
  } else {
    if (quoted.size < 48 || (quoted.u8(0) >> 4) != 6) return;
    source = quoted.ipv6(8);
    destination = quoted.ipv6(24);
    protocol = quoted.u8(6);
    transport = quoted.from(40);
  }
  const bool inbound = packet.direction == Direction::inbound;
  const Address& local = inbound ? source : destination;
  const Address& remote = inbound ? destination : source;
  if (!(local == packet.local)) return;
  std::uint16_t source_port = 0, destination_port = 0;
  const std::uint8_t echo = family == Family::ipv4 ? 8 : 128;
  if (protocol == rules::kProtocolTcp || protocol == rules::kProtocolUdp ||
      protocol == rules::kProtocolSctp) {
    source_port = transport.u16(0);
    destination_port = transport.u16(2);
  } else if (protocol == rules::kProtocolIcmp || protocol == rules::kProtocolIcmpv6) {
    // A request or a reply; both carry the identifier. Errors about errors find no flow.
    if (transport.u8(0) != echo && transport.u8(0) != (echo == 8 ? 0 : 129)) return;
    (inbound ? source_port : destination_port) = transport.u16(4);
  }
  packet.key = key_of(packet, local, remote, protocol, inbound ? source_port : destination_port,
                      inbound ? destination_port : source_port);
  packet.has_embedded_key = true;
}

Packet& parse_echo(Packet& packet, const Bytes& icmp, bool is_reply) noexcept {
  packet.kind = PacketKind::transport;
  packet.is_echo_reply = is_reply;
  packet.key = key_of(packet, packet.local, packet.remote, packet.protocol, icmp.u16(4), 0);
  return packet;
}

// Neighbour discovery (RFC 4861) and MLD (RFC 2710, 3810) keep the link alive; what came over a
// router, or from a side that has no business to send it, does not.
Packet& parse_neighbour(Packet& packet, const IpHeader& ip, std::uint8_t type) noexcept {
  const bool inbound = packet.direction == Direction::inbound;
  const bool is_mld = type < 133 || type == 143;
  if (type == 137) return drop(packet, DropReason::neighbour_discovery);
  if ((type == 133 && inbound) || (type == 134 && !inbound))
    return drop(packet, DropReason::neighbour_discovery);
  if (ip.hop_limit != (is_mld ? 1 : 255)) return drop(packet, DropReason::neighbour_discovery);
  // RFC 6980: neighbour discovery is never fragmented; only MLD carries a hop-by-hop header.
  if (packet.fragment.is_one || (ip.has_extensions && !is_mld))
    return drop(packet, DropReason::malformed);
  const std::size_t least = is_mld        ? (type == 143 ? 8 : 24)
                            : type == 133 ? 8
                            : type == 134 ? 16
                                          : 24;
  if (ip.payload.size < least || ip.payload.u8(1) != 0) return drop(packet, DropReason::malformed);
  packet.kind = PacketKind::neighbour;
  return packet;
}

bool is_neighbour_type(std::uint8_t type) noexcept {
  return (type >= 130 && type <= 137) || type == 143;
}

Packet& parse_icmp(Packet& packet, const IpHeader& ip, Family family) noexcept {
  const bool v4 = family == Family::ipv4;
  const Bytes& icmp = ip.payload;
  // Each family has its own ICMP; the other's number carries nothing that a host would take.
  if (v4 != (packet.protocol == rules::kProtocolIcmp)) return drop(packet, DropReason::malformed);
  if (icmp.size < 8) return cut_short(packet);
  const std::uint8_t type = icmp.u8(0);
  packet.service = icmp.u16(0);
  if (!v4 && is_neighbour_type(type)) return parse_neighbour(packet, ip, type);
  const bool is_error = v4 ? type == 3 || type == 11 || type == 12 : type >= 1 && type <= 4;
  if (is_error) {
    packet.kind = PacketKind::icmp_error;
    // Errors fit every link (RFC 1812 §4.3.2.3, RFC 4443 §2.4): one in pieces is about no flow.
    if (!packet.fragment.is_one) read_embedded(packet, icmp.from(8), family);
    return packet;
  }
  const bool request = type == (v4 ? 8 : 128), reply = type == (v4 ? 0 : 129);
  if ((request || reply) && icmp.u8(1) == 0) return parse_echo(packet, icmp, reply);
  packet.kind = PacketKind::icmp_other;
  return packet;
}

// What a fragment may not be, whatever came before it.
bool is_fragment_sane(const Fragment& fragment, std::uint8_t protocol) noexcept {
  if (fragment.size_bytes == 0 || fragment.offset_bytes + fragment.size_bytes > 65535) return false;
  if (fragment.more && fragment.size_bytes % 8 != 0) return false;
  // RFC 1858 §4, RFC 3128: nothing may rewrite the transport header of the first.
  const std::size_t header = protocol == rules::kProtocolTcp ? 20 : 8;
  return fragment.offset_bytes == 0 || fragment.offset_bytes >= header;
}

// From here on a drop is one of a known datagram.
void note_fragment(Packet& packet, const IpHeader& ip, std::size_t offset_bytes, bool more,
                   std::uint32_t id) noexcept {
  packet.fragment = {true, more, static_cast<std::uint16_t>(offset_bytes),
                     static_cast<std::uint16_t>(ip.payload.size), id};
  packet.protocol = ip.protocol;
  orient(packet, ip.source, ip.destination);
}

Packet& parse_transport(Packet& packet, const IpHeader& ip) noexcept {
  packet.protocol = ip.protocol;
  orient(packet, ip.source, ip.destination);
  if (packet.fragment.is_one && !is_fragment_sane(packet.fragment, packet.protocol))
    return leave_to_tracker(packet, DropReason::fragment_invalid);
  // Whatever the bytes of a later fragment are, they are data.
  if (packet.fragment.offset_bytes != 0)
    return leave_to_tracker(packet, DropReason::fragment_orphan);
  if (!packet.fragment.is_one) {
    packet.transport = ip.payload.at;
    packet.transport_size = static_cast<std::uint32_t>(ip.payload.size);
  }
  switch (ip.protocol) {
    case rules::kProtocolTcp:
      return parse_tcp(packet, ip);
    case rules::kProtocolUdp:
      return parse_udp(packet, ip);
    case rules::kProtocolSctp:
      return parse_sctp(packet, ip);
    case rules::kProtocolIcmp:
    case rules::kProtocolIcmpv6:
      return parse_icmp(packet, ip, ip.source.family);
    default:
      packet.kind = PacketKind::transport;
      packet.service = ip.protocol;
      set_key(packet, 0, 0);
      return packet;
  }
}

// Before the source is looked at: a client has none yet.
bool parse_dhcp(Packet& packet, const IpHeader& ip) noexcept {
  if (ip.protocol != rules::kProtocolUdp || packet.fragment.is_one || ip.has_extensions)
    return false;
  switch (dhcp_of(packet.direction, ip.source, ip.destination, ip.payload.at, ip.payload.size)) {
    case Dhcp::none:
      return false;
    case Dhcp::link:
      packet.kind = PacketKind::neighbour;
      return true;
    case Dhcp::unicast:
      if (ip.source == ip.destination || is_martian_ipv4(static_cast<std::uint32_t>(ip.source.low)))
        return false;
      packet.kind = PacketKind::dhcp;
      packet.protocol = ip.protocol;
      orient(packet, ip.source, ip.destination);
      return true;
  }
  return false;
}

Packet& parse_ipv4(Packet& packet, const Bytes& bytes, const Settings& settings) noexcept {
  if (bytes.size < 20 || (bytes.u8(0) >> 4) != 4) return drop(packet, DropReason::malformed);
  const std::size_t header = std::size_t{bytes.u8(0)} % 16 * 4;
  const std::size_t total = bytes.u16(2);
  if (header < 20 || total < header || total > bytes.size)
    return drop(packet, DropReason::malformed);
  if (!is_ipv4_checksum_right(bytes.at, header)) return drop(packet, DropReason::bad_checksum);
  IpHeader ip;
  ip.source = Address::ipv4(bytes.u32(12));
  ip.destination = Address::ipv4(bytes.u32(16));
  ip.protocol = bytes.u8(9);
  ip.hop_limit = bytes.u8(8);
  ip.payload = {bytes.at + header, total - header};
  const bool more = bytes.u16(6) & 0x2000;
  const std::size_t offset = std::size_t{bytes.u16(6)} % 0x2000 * 8;
  if (more || offset != 0) note_fragment(packet, ip, offset, more, bytes.u16(4));
  // RFC 7126: options are the slow path of everything behind us, source routes worse.
  if (header > 20 && !settings.allow_ip_options) return drop(packet, DropReason::ip_options);
  if (settings.pass_dhcp && parse_dhcp(packet, ip)) return packet;
  if (is_martian_ipv4(bytes.u32(12)) || ip.source == ip.destination)
    return drop(packet, DropReason::martian);
  return parse_transport(packet, ip);
}

// Neighbour discovery may come from "::" (RFC 4861 §4.1, §4.3; RFC 3590 for MLD).
bool may_be_unspecified(const Packet& packet, const IpHeader& ip) noexcept {
  return !packet.fragment.is_one && ip.protocol == rules::kProtocolIcmpv6 && ip.payload.size >= 1 &&
         is_neighbour_type(ip.payload.u8(0));
}

Packet& check_ipv6_source(Packet& packet, const IpHeader& ip) noexcept {
  const bool unspecified = ip.source.high == 0 && ip.source.low == 0;
  if (ip.source == ip.destination ||
      (is_martian_ipv6(ip.source) && !(unspecified && may_be_unspecified(packet, ip))))
    return drop(packet, DropReason::martian);
  return parse_transport(packet, ip);
}

// RFC 8200 §4; RFC 7045: what we cannot walk we cannot judge.
Packet& parse_ipv6(Packet& packet, const Bytes& bytes, const Settings& settings) noexcept {
  if (bytes.size < 40 || (bytes.u8(0) >> 4) != 6) return drop(packet, DropReason::malformed);
  const std::size_t length = bytes.u16(4);
  if (length > bytes.size - 40) return drop(packet, DropReason::malformed);
  IpHeader ip;
  ip.source = bytes.ipv6(8);
  ip.destination = bytes.ipv6(24);
  ip.protocol = bytes.u8(6);
  ip.hop_limit = bytes.u8(7);
  ip.payload = {bytes.at + 40, length};
  bool has_fragment_header = false;
  for (int count = 0;; ++count) {
    const std::uint8_t type = ip.protocol;
    const bool is_walked = type == 0 || type == 43 || type == 44 || type == 60;
    // HIP, shim6 and the experimental headers are extensions too, and none of ours.
    if (type == 139 || type == 140 || type == 253 || type == 254)
      return drop(packet, DropReason::ipv6_extension);
    if (!is_walked && settings.pass_dhcp && parse_dhcp(packet, ip)) return packet;
    if (!is_walked) return check_ipv6_source(packet, ip);
    const std::size_t size = type == 44             ? 8
                             : ip.payload.size >= 2 ? (std::size_t{ip.payload.u8(1)} + 1) * 8
                                                    : 8;
    if (count == kExtensionHeadersMax || (type == 0 && count != 0) || ip.payload.size < size)
      return drop(packet, DropReason::ipv6_extension);
    if (type == 43 && ip.payload.u8(2) == 0)  // RH0 (RFC 5095)
      return drop(packet, DropReason::ipv6_extension);
    const Bytes extension = ip.payload;
    ip.has_extensions = true;
    ip.protocol = extension.u8(0);
    ip.payload = extension.from(size);
    if (type != 44) continue;
    const std::size_t offset = extension.u16(2) & 0xfff8;
    const bool more = extension.u16(2) & 1;
    if (has_fragment_header) return drop(packet, DropReason::ipv6_extension);
    has_fragment_header = true;
    // RFC 6946: offset 0 and no more is a whole packet.
    if (more || offset != 0) note_fragment(packet, ip, offset, more, extension.u32(4));
    if (offset != 0) return check_ipv6_source(packet, ip);
  }
}

// RFC 826, for IPv4 over Ethernet.
Packet& parse_arp(Packet& packet, const Bytes& arp) noexcept {
  if (arp.size < 28 || arp.u16(0) != 1 || arp.u16(2) != kEtherIpv4 || arp.u8(4) != 6 ||
      arp.u8(5) != 4 || arp.u16(6) < 1 || arp.u16(6) > 2)
    return drop(packet, DropReason::malformed);
  packet.kind = PacketKind::arp;
  packet.local = Address::ipv4(arp.u32(14));
  return packet;
}

// What of a used packet would be taken for this one's.
void begin(Packet& packet, const Ingress& ingress) noexcept {
  packet.direction = direction_of(ingress);
  packet.is_echo_reply = false;
  packet.has_embedded_key = false;
  packet.protocol = 0;
  packet.service = 0;
  packet.transport = nullptr;
  packet.fragment = {};
}

}  // namespace

bool is_checksum_right(const Packet& packet) noexcept {
  return packet.transport == nullptr ||
         is_transport_checksum_right(packet.local, packet.remote, packet.protocol, packet.transport,
                                     packet.transport_size);
}

Packet parse(const Frame& frame, const Ingress& ingress, const Settings& settings) noexcept {
  Packet packet;
  parse_into(packet, frame, ingress, settings);
  return packet;
}

void parse_into(Packet& packet, const Frame& frame, const Ingress& ingress,
                const Settings& settings) noexcept {
  begin(packet, ingress);
  Bytes bytes{frame.bytes, frame.size};
  if (bytes.size < 14) return void(drop(packet, DropReason::malformed));
  std::uint16_t ethertype = bytes.u16(12);
  std::size_t header = 14;
  std::size_t vlan = 0;
  if (ethertype == kEtherVlan) {
    if (bytes.size < 18) return void(drop(packet, DropReason::malformed));
    vlan = bytes.u16(14) & 0xfff;
    ethertype = bytes.u16(16);
    header = 18;
    // VLAN id 0 is a priority tag, not "untagged"; no zone carries it.
    if (vlan == 0) return void(drop(packet, DropReason::ethertype));
  }
  packet.zone = ingress.zone_of_vlan[vlan];
  if (packet.zone == kNoZone) return void(drop(packet, DropReason::ethertype));
  bytes = bytes.from(header);
  switch (ethertype) {
    case kEtherIpv4:
      parse_ipv4(packet, bytes, settings);
      return;
    case kEtherIpv6:
      parse_ipv6(packet, bytes, settings);
      return;
    case kEtherArp:
      parse_arp(packet, bytes);
      return;
    default:
      drop(packet, DropReason::ethertype);
  }
}

}  // namespace sluice::dataplane
