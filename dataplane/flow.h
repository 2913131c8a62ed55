// SPDX-License-Identifier: Apache-2.0
//
// One tracked connection as it lies in the table: a cache line, and a second one for the addresses
// of IPv6.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/flow_key.h"
#include "dataplane/tcp_state.h"
#include "rules/packet_key.h"

namespace sluice::dataplane {

using TimeNs = std::uint64_t;     // a monotonic clock, handed in with each burst
using FlowIndex = std::uint32_t;  // of a cell in the table

// What the idle time of a flow depends on. The TCP states come first, in their own order.
enum class FlowState : std::uint8_t {
  tcp_first = 0,
  udp_unreplied = kTcpStates,
  udp_replied,
  icmp_echo,
  other,
};
inline constexpr std::size_t kFlowStates = static_cast<std::size_t>(FlowState::other) + 1;

// 64 bytes. Fields that a packet of an established flow does not change are written once.
struct alignas(64) Flow {
  std::uint64_t addresses = 0;   // IPv4: both; IPv6: 32 bits of the hash, index of the second cell
  std::uint64_t identity = 0;    // FlowKey::identity
  rules::RuleRef rule;           // that allows the opener
  std::uint32_t generation = 0;  // low 32 bits of the generation that judged the opener
  std::uint32_t seen_s = 0;      // the second of the last packet that counts
  std::uint32_t drain_until_s = 0;
  std::array<TcpSide, 2> sides;  // TCP: [0] the opener
  FlowState state = FlowState::tcp_first;
  std::uint8_t flags = 0;    // of kFlow…
  std::uint16_t source = 0;  // slot of the remote host, while no reply was seen
};
static_assert(sizeof(Flow) == 64);

inline constexpr std::uint8_t kFlowLive = 0x01;
inline constexpr std::uint8_t kFlowOutbound = 0x02;   // the opener came from inside
inline constexpr std::uint8_t kFlowReplied = 0x04;    // both directions seen; TCP: handshake done
inline constexpr std::uint8_t kFlowKept = 0x08;       // no longer allowed; goes on by "keep"
inline constexpr std::uint8_t kFlowDraining = 0x10;   // beside kFlowKept: until drain_until_s
inline constexpr std::uint8_t kFlowRefused = 0x20;    // no longer allowed: its next packet ends it
inline constexpr std::uint8_t kFlowEnded = 0x40;      // ended by a change; must not be adopted
inline constexpr std::uint8_t kFlowRuleStale = 0x80;  // allowed, but not by `rule`
// What a change that no longer allows a flow makes of it.
inline constexpr std::uint8_t kFlowMarks = kFlowKept | kFlowDraining | kFlowRefused;

// The second cell of an IPv6 flow.
struct alignas(64) FlowAddresses {
  std::uint64_t local_high = 0, local_low = 0, remote_high = 0, remote_low = 0;
};
static_assert(sizeof(FlowAddresses) == sizeof(Flow));

}  // namespace sluice::dataplane
