// SPDX-License-Identifier: Apache-2.0
#include "dataplane/frame_headers.h"

#include <algorithm>

#include "rules/iana_protocols.h"
#include "rules/model.h"

namespace sluice::dataplane {
namespace {

using rules::Address;
using rules::Family;

// Of bytes that may end anywhere: what is not there reads as nothing.
class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  [[nodiscard]] bool has(std::size_t size) const { return bytes_.size() >= size; }
  [[nodiscard]] std::uint8_t u8(std::size_t at) const { return bytes_[at]; }
  [[nodiscard]] std::uint16_t u16(std::size_t at) const {
    return static_cast<std::uint16_t>(bytes_[at] << 8 | bytes_[at + 1]);
  }
  [[nodiscard]] std::uint32_t u32(std::size_t at) const {
    return std::uint32_t{u16(at)} << 16 | u16(at + 2);
  }
  [[nodiscard]] Address ipv6(std::size_t at) const {
    const auto half = [&](std::size_t from) {
      return std::uint64_t{u32(from)} << 32 | u32(from + 4);
    };
    return Address::ipv6(half(at), half(at + 8));
  }
  [[nodiscard]] Reader from(std::size_t at) const {
    return Reader(bytes_.subspan(std::min(at, bytes_.size())));
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

void read_transport(FrameHeaders& headers, const Reader& bytes) {
  if (headers.fragment_offset_bytes != 0) return;  // data
  const std::uint8_t protocol = *headers.protocol;
  const bool has_ports = protocol == rules::kProtocolTcp || protocol == rules::kProtocolUdp ||
                         protocol == rules::kProtocolSctp;
  if (has_ports && bytes.has(4)) {
    headers.source_port = bytes.u16(0);
    headers.destination_port = bytes.u16(2);
  }
  if (protocol == rules::kProtocolTcp && bytes.has(14)) {
    headers.tcp_seq = bytes.u32(4);
    headers.tcp_ack = bytes.u32(8);
    headers.tcp_flags = bytes.u8(13);
  }
  const bool is_icmp = protocol == rules::kProtocolIcmp || protocol == rules::kProtocolIcmpv6;
  if (is_icmp && bytes.has(2)) {
    headers.icmp_type = bytes.u8(0);
    headers.icmp_code = bytes.u8(1);
  }
}

void read_ipv4(FrameHeaders& headers, const Reader& bytes) {
  if (!bytes.has(20)) return;
  headers.source = Address::ipv4(bytes.u32(12));
  headers.destination = Address::ipv4(bytes.u32(16));
  headers.protocol = bytes.u8(9);
  headers.hop_limit = bytes.u8(8);
  headers.more_fragments = bytes.u16(6) & 0x2000;
  headers.fragment_offset_bytes = static_cast<std::uint16_t>((bytes.u16(6) & 0x1fff) * 8);
  const std::size_t size = std::size_t{bytes.u8(0)} % 16 * 4;
  if (size >= 20) read_transport(headers, bytes.from(size));
}

void read_ipv6(FrameHeaders& headers, Reader bytes) {
  if (!bytes.has(40)) return;
  headers.source = bytes.ipv6(8);
  headers.destination = bytes.ipv6(24);
  headers.protocol = bytes.u8(6);
  headers.hop_limit = bytes.u8(7);
  bytes = bytes.from(40);
  // Each extension header takes at least 8 bytes, so this ends.
  while (bytes.has(8)) {
    const std::uint8_t type = *headers.protocol;
    if (type != 0 && type != 43 && type != 44 && type != 60) break;
    if (type == 44) {
      headers.fragment_offset_bytes = bytes.u16(2) & 0xfff8;
      headers.more_fragments = bytes.u16(2) & 1;
    }
    headers.protocol = bytes.u8(0);
    bytes = bytes.from(type == 44 ? 8 : (std::size_t{bytes.u8(1)} + 1) * 8);
    if (headers.fragment_offset_bytes != 0) return;
  }
  read_transport(headers, bytes);
}

void read_arp(FrameHeaders& headers, const Reader& bytes) {
  if (!bytes.has(28)) return;
  headers.source = Address::ipv4(bytes.u32(14));
  headers.destination = Address::ipv4(bytes.u32(24));
}

std::string hex16(std::uint16_t value) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "0x";
  for (int shift = 12; shift >= 0; shift -= 4) text += kDigits[(value >> shift) & 0xf];
  return text;
}

std::string endpoint(const Address& address, const std::optional<std::uint16_t>& port) {
  if (!port) return to_string(address);
  const bool v6 = address.family == Family::ipv6;
  return (v6 ? "[" : "") + to_string(address) + (v6 ? "]:" : ":") + std::to_string(*port);
}

std::string kind_of(const FrameHeaders& headers) {
  if (headers.ethertype == 0x0806) return "ARP";
  if (!headers.protocol) {
    if (headers.ethertype == 0x0800) return "IPv4";
    if (headers.ethertype == 0x86dd) return "IPv6";
    return "frame type " + hex16(headers.ethertype);
  }
  const std::string_view name = rules::iana_protocol_name(*headers.protocol);
  return name.empty() ? "protocol " + std::to_string(*headers.protocol) : std::string(name);
}

}  // namespace

FrameHeaders read_headers(std::span<const std::uint8_t> head) {
  FrameHeaders headers;
  Reader bytes(head);
  if (!bytes.has(14)) return headers;
  headers.ethertype = bytes.u16(12);
  bytes = bytes.from(14);
  while ((headers.ethertype == 0x8100 || headers.ethertype == 0x88a8) && bytes.has(4)) {
    headers.vlans.push_back(bytes.u16(0) & 0xfff);
    headers.ethertype = bytes.u16(2);
    bytes = bytes.from(4);
  }
  if (headers.ethertype == 0x0800) read_ipv4(headers, bytes);
  if (headers.ethertype == 0x86dd) read_ipv6(headers, bytes);
  if (headers.ethertype == 0x0806) read_arp(headers, bytes);
  return headers;
}

std::string tcp_flags_text(std::uint8_t flags) {
  constexpr const char* kNames[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"};
  std::string text;
  for (int i = 0; i < 8; ++i)
    if ((flags >> i) & 1) text += (text.empty() ? "" : ",") + std::string(kNames[i]);
  return text;
}

std::string describe(const FrameHeaders& headers) {
  std::string text = kind_of(headers);
  if (headers.source)
    text += " " + endpoint(*headers.source, headers.source_port) + " > " +
            endpoint(*headers.destination, headers.destination_port);
  if (headers.tcp_flags) {
    const std::string flags = tcp_flags_text(*headers.tcp_flags);
    text += " " + (flags.empty() ? "no flags" : flags);
  }
  if (headers.icmp_type)
    text += " type " + std::to_string(*headers.icmp_type) + " code " +
            std::to_string(*headers.icmp_code);
  if (headers.is_fragment())
    text += " fragment at " + std::to_string(headers.fragment_offset_bytes);
  for (const std::uint16_t vlan : headers.vlans) text += " vlan " + std::to_string(vlan);
  return text;
}

}  // namespace sluice::dataplane
