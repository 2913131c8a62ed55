// SPDX-License-Identifier: Apache-2.0
//
// Frame bytes -> what the later stages need. Bytes are hostile: nothing is read past `size`.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/flow_key.h"
#include "dataplane/snapshot.h"
#include "dataplane/tcp_state.h"
#include "dataplane/verdict.h"

namespace sluice::dataplane {

// One Ethernet frame without FCS, in one piece.
struct Frame {
  const std::uint8_t* bytes = nullptr;
  std::uint32_t size = 0;
  std::uint64_t ticket = 0;  // the caller's name for it, should it be held
};

enum class Side : std::uint8_t { outside, inside };

// Where a frame came in. Frames of a port are told apart by VLAN id.
struct Ingress {
  Side side = Side::outside;
  // zone_of_vlan[0]: untagged frames; [1..4094]: by VLAN id; kNoZone: the tag is not carried.
  const std::uint16_t* zone_of_vlan = nullptr;
};
[[nodiscard]] inline rules::Direction direction_of(const Ingress& ingress) noexcept {
  return ingress.side == Side::outside ? rules::Direction::inbound : rules::Direction::outbound;
}
inline constexpr std::uint16_t kNoZone = 0xffff;
inline constexpr std::size_t kVlans = 4096;

inline constexpr std::uint16_t kEtherIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherVlan = 0x8100;

[[nodiscard]] constexpr bool is_martian_ipv4(std::uint32_t source) noexcept {
  const std::uint32_t net = source >> 24;
  return net == 0 || net == 127 || net >= 224;  // this, loopback, multicast, 240/4, broadcast
}

enum class PacketKind : std::uint8_t {
  dropped,     // `reason` says why
  arp,         // `local` is the sender's protocol address
  neighbour,   // well-formed neighbour discovery, MLD, DHCP on the link: passed
  dhcp,        // of a load balancer's own address and a server: passed if the LB is there
  fragment,    // a later fragment; or one that is wrong by itself: `reason` says how
  transport,   // TCP, UDP, SCTP, other protocols, ICMP echo: tracked as a flow
  icmp_error,  // `key` is the embedded packet's flow, if has_embedded_key
  icmp_other,  // judged by the rules, never tracked
};

// The place of a fragment in its datagram; IPv6: in the part behind the fragment header.
struct Fragment {
  bool is_one = false;  // an atomic fragment (RFC 6946) is none
  bool more = false;    // others follow behind
  std::uint16_t offset_bytes = 0;
  std::uint16_t size_bytes = 0;
  std::uint32_t id = 0;
  [[nodiscard]] bool is_first() const { return is_one && offset_bytes == 0; }
};

struct Packet {
  PacketKind kind = PacketKind::dropped;
  DropReason reason = DropReason::malformed;
  rules::Direction direction = rules::Direction::inbound;
  bool is_echo_reply = false;     // ICMP echo: a reply, not a request
  bool has_embedded_key = false;  // icmp_error only
  std::uint8_t protocol = 0;      // of this packet itself
  std::uint16_t service = 0;      // as rules::PacketKey::service, of this packet itself
  std::uint16_t zone = kNoZone;
  Fragment fragment;
  rules::Address local;  // LB side of this packet: the destination if inbound
  rules::Address remote;
  FlowKey key;     // oriented by side; for icmp_error that of the embedded packet
  TcpSegment tcp;  // TCP only
  // The whole transport with its payload, if this is no fragment; else null.
  const std::uint8_t* transport = nullptr;
  std::uint32_t transport_size = 0;
};

// Of the transport, where it has one and is whole (SEMANTICS §4 "Parse": a bad one never creates
// or advances a flow).
[[nodiscard]] bool is_checksum_right(const Packet& packet) noexcept;

// Parses and checks (SEMANTICS §4 "Parse"). Stateless; depends on nothing but its arguments.
[[nodiscard]] Packet parse(const Frame& frame, const Ingress& ingress,
                           const Settings& settings) noexcept;
// The same into a packet that was used before. What its kind does not need may be left over from
// then: addresses of a dropped one, a key that is not there.
void parse_into(Packet& packet, const Frame& frame, const Ingress& ingress,
                const Settings& settings) noexcept;

}  // namespace sluice::dataplane
