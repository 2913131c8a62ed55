// SPDX-License-Identifier: Apache-2.0
//
// Most packets: TCP over IPv4, without IP options or fragments, in the middle of a connection (ACK,
// and none of SYN, FIN, RST). A few words tell all of them that a live flow asks, so they are read
// apart from the whole parser, a column of them for the burst, sixteen at a time where the CPU can.
// Whatever is not that, or is wrong, is left to the whole parser, which finds the reason: nothing
// passes here that would not pass there.
//
// A set of packets is a mask: bit i is frames[i].
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/packet.h"

namespace sluice::dataplane {

using PacketMask = std::uint32_t;

// The first `count` packets of a burst; at most 32.
[[nodiscard]] constexpr PacketMask all_of(std::size_t count) noexcept {
  return static_cast<PacketMask>((std::uint64_t{1} << count) - 1);
}

// Calls visit(i) for each packet of the set, in order.
template <class Visit>
void for_each_of(PacketMask set, Visit visit) noexcept {
  for (; set != 0; set &= set - 1) visit(static_cast<std::size_t>(__builtin_ctz(set)));
}

// The columns; one of a packet that is not plain is undefined.
struct alignas(64) PlainTcp {
  static constexpr std::size_t kPacketsMax = 32;

  std::array<Ipv4FlowWords, kPacketsMax> flows{};
  std::array<std::uint32_t, kPacketsMax> seq, ack;
  std::array<std::uint32_t, kPacketsMax> length;   // of the payload
  std::array<std::uint32_t, kPacketsMax> window;   // as written, not scaled
  std::array<std::uint32_t, kPacketsMax> ipv4_at;  // where in the frame its header begins

  [[nodiscard]] TcpSegment segment(std::size_t i) const noexcept {
    return {seq[i], ack[i], length[i], static_cast<std::uint16_t>(window[i]), kTcpAck, kNoScale};
  }
};

// The plain ones of at most kPacketsMax frames.
[[nodiscard]] PacketMask read_plain_tcp(std::span<const Frame> frames, const Ingress& ingress,
                                        PlainTcp& plain) noexcept;

// Plain packet i as the whole parser says it; the packet may have been used before.
void expand(const PlainTcp& plain, std::size_t i, const Frame& frame, rules::Direction direction,
            Packet& packet) noexcept;

// The two behind read_plain_tcp, for tests and benchmarks; the second is undefined without
// has_wide_plain_tcp().
[[nodiscard]] PacketMask read_plain_tcp_each(std::span<const Frame> frames, const Ingress& ingress,
                                             PlainTcp& plain) noexcept;
[[nodiscard]] bool has_wide_plain_tcp() noexcept;
[[nodiscard]] PacketMask read_plain_tcp_wide(std::span<const Frame> frames, const Ingress& ingress,
                                             PlainTcp& plain) noexcept;

// ---- Of both ----

inline constexpr std::uint32_t kUntaggedIpv4At = 14, kTaggedIpv4At = 18;
inline constexpr std::uint32_t kPlainHeaders = 40;  // of IPv4 and TCP, without options

[[nodiscard]] inline bool has_type(const Frame& frame, std::size_t at,
                                   std::uint16_t type) noexcept {
  return std::uint32_t{frame.bytes[at]} << 8 == (type & 0xff00u) &&
         frame.bytes[at + 1] == (type & 0xff);
}

// Where the IPv4 header of the frame begins, with room for it and a TCP header behind it; its VLAN
// id, 0 without a tag. 0: no such frame.
[[nodiscard]] inline std::uint32_t plain_ipv4_at(const Frame& frame, std::size_t& vlan) noexcept {
  vlan = 0;
  if (frame.size < kUntaggedIpv4At + kPlainHeaders) return 0;
  if (has_type(frame, 12, kEtherIpv4)) return kUntaggedIpv4At;
  if (!has_type(frame, 12, kEtherVlan) || frame.size < kTaggedIpv4At + kPlainHeaders) return 0;
  vlan = static_cast<std::size_t>((frame.bytes[14] & 0x0f) << 8 | frame.bytes[15]);
  return vlan != 0 && has_type(frame, 16, kEtherIpv4) ? kTaggedIpv4At : 0;
}

}  // namespace sluice::dataplane
