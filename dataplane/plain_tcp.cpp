// SPDX-License-Identifier: Apache-2.0
#include "dataplane/plain_tcp.h"

#include <bit>
#include <cstring>

#include "dataplane/checksum.h"
#include "rules/model.h"

namespace sluice::dataplane {
namespace {

using rules::Direction;
using rules::Family;

// Chosen once, before main: one binary runs on every CPU.
const auto kRead = has_wide_plain_tcp() ? read_plain_tcp_wide : read_plain_tcp_each;

std::uint16_t u16(const std::uint8_t* at) noexcept {
  std::uint16_t word = 0;
  std::memcpy(&word, at, sizeof(word));
  return std::endian::native == std::endian::little ? __builtin_bswap16(word) : word;
}
std::uint32_t u32(const std::uint8_t* at) noexcept {
  std::uint32_t word = 0;
  std::memcpy(&word, at, sizeof(word));
  return std::endian::native == std::endian::little ? __builtin_bswap32(word) : word;
}

bool read_one(const Frame& frame, const Ingress& ingress, PlainTcp& plain, std::size_t i) noexcept {
  std::size_t vlan = 0;
  const std::uint32_t at = plain_ipv4_at(frame, vlan);
  if (at == 0) return false;
  const std::uint16_t zone = ingress.zone_of_vlan[vlan];
  const std::uint8_t* ip = frame.bytes + at;
  if (zone == kNoZone || ip[0] != 0x45 || ip[9] != rules::kProtocolTcp) return false;
  const std::uint32_t total = u16(ip + 2);
  if (total < 40 || total > frame.size - at || (u16(ip + 6) & 0x3fff) != 0) return false;
  if (!is_ipv4_checksum_right(ip, 20)) return false;
  const auto source = u32(ip + 12), destination = u32(ip + 16);
  if (is_martian_ipv4(source) || source == destination) return false;
  const std::uint8_t* tcp = ip + 20;
  const std::uint32_t size = total - 20, header = (std::uint32_t{tcp[12]} >> 4) * 4;
  const auto from = u16(tcp), to = u16(tcp + 2);
  if (header < 20 || header > size || from == 0 || to == 0) return false;
  // SYN, FIN and RST have options and odd mates; the others need an ACK to be no scan.
  if ((tcp[13] & (kTcpSyn | kTcpFin | kTcpRst | kTcpAck)) != kTcpAck) return false;
  const bool inbound = direction_of(ingress) == Direction::inbound;
  plain.flows[i].addresses = inbound ? std::uint64_t{destination} << 32 | source
                                     : std::uint64_t{source} << 32 | destination;
  plain.flows[i].identity = FlowKey::identity_of(inbound ? to : from, inbound ? from : to, zone,
                                                 rules::kProtocolTcp, Family::ipv4);
  plain.seq[i] = u32(tcp + 4);
  plain.ack[i] = u32(tcp + 8);
  plain.length[i] = size - header;
  plain.window[i] = u16(tcp + 14);
  plain.ipv4_at[i] = at;
  return true;
}

}  // namespace

#if defined(__x86_64__)
bool has_wide_plain_tcp() noexcept {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}
#else
bool has_wide_plain_tcp() noexcept {
  return false;
}
PacketMask read_plain_tcp_wide(std::span<const Frame> frames, const Ingress& ingress,
                               PlainTcp& plain) noexcept {
  return read_plain_tcp_each(frames, ingress, plain);
}
#endif

PacketMask read_plain_tcp(std::span<const Frame> frames, const Ingress& ingress,
                          PlainTcp& plain) noexcept {
  return kRead(frames, ingress, plain);
}

PacketMask read_plain_tcp_each(std::span<const Frame> frames, const Ingress& ingress,
                               PlainTcp& plain) noexcept {
  PacketMask set = 0;
  for (std::size_t i = 0; i < frames.size(); ++i)
    set |= PacketMask{read_one(frames[i], ingress, plain, i)} << i;
  return set;
}

void expand(const PlainTcp& plain, std::size_t i, const Frame& frame, Direction direction,
            Packet& packet) noexcept {
  const std::uint8_t* ip = frame.bytes + plain.ipv4_at[i];
  packet = {};
  packet.kind = PacketKind::transport;
  packet.direction = direction;
  packet.protocol = rules::kProtocolTcp;
  packet.key = plain.flows[i].key();
  packet.zone = packet.key.zone;
  packet.service = direction == Direction::inbound ? packet.key.local_port : packet.key.remote_port;
  packet.local = rules::Address::ipv4(static_cast<std::uint32_t>(packet.key.local_low));
  packet.remote = rules::Address::ipv4(static_cast<std::uint32_t>(packet.key.remote_low));
  packet.tcp = plain.segment(i);
  packet.tcp.flags = ip[20 + 13];
  packet.transport = ip + 20;
  packet.transport_size = u16(ip + 2) - 20u;
}

}  // namespace sluice::dataplane
