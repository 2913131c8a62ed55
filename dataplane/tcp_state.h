// SPDX-License-Identifier: Apache-2.0
//
// The TCP state machine of a tracked connection, as one pure function.
#pragma once

#include <cstdint>

namespace sluice::dataplane {

inline constexpr std::uint8_t kTcpFin = 0x01;
inline constexpr std::uint8_t kTcpSyn = 0x02;
inline constexpr std::uint8_t kTcpRst = 0x04;
inline constexpr std::uint8_t kTcpPsh = 0x08;
inline constexpr std::uint8_t kTcpAck = 0x10;
inline constexpr std::uint8_t kTcpUrg = 0x20;

enum class TcpState : std::uint8_t {
  syn_sent,      // the opener's SYN was allowed
  syn_received,  // the other side answered SYN-ACK
  established,   // the opener acknowledged the SYN-ACK
  fin_opener,    // the opener sent FIN
  fin_other,     // the other side sent FIN
  closing,       // both sent FIN
  reset,         // RST seen
};

enum class TcpAction : std::uint8_t {
  pass,    // belongs to the connection
  drop,    // does not fit: DropReason::no_flow, state unchanged
  reopen,  // a new SYN on a closing tuple: judged by the rules anew
};

struct TcpStep {
  TcpState next;
  TcpAction action;
};

// May a packet with these flags open a connection? SYN, and none of ACK, RST, FIN (RFC 9293 §3.5).
[[nodiscard]] constexpr bool is_tcp_open(std::uint8_t flags) {
  return (flags & (kTcpSyn | kTcpAck | kTcpRst | kTcpFin)) == kTcpSyn;
}

// `from_opener`: the packet travels in the direction of the flow's first packet.
[[nodiscard]] TcpStep tcp_step(TcpState state, bool from_opener, std::uint8_t flags) noexcept;

}  // namespace sluice::dataplane
