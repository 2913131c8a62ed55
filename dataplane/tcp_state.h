// SPDX-License-Identifier: Apache-2.0
//
// The TCP state machine of a tracked connection, as one pure function.
//
//   state         how it came there                             idle time
//   syn_sent      the opener's SYN was allowed                  opening
//   syn_crossed   both sent SYN (RFC 9293, simultaneous open)   opening
//   syn_received  the other side answered SYN-ACK               opening
//   established   the opener acknowledged the SYN-ACK           established
//   fin_opener    the opener sent FIN                           closing
//   fin_other     the other side sent FIN                       closing
//   closing       both sent FIN                                 closing
//   reset         RST in the window                             reset
//
// SYN and SYN-ACK, however often, establish nothing. A SYN in one of the last four begins anew, if
// the rules allow it. Numbers are checked as G. van Rooij describes ("Real stateful TCP packet
// filtering in IP Filter", 2001): of each side we know how far it sent, how much of that the other
// acknowledged, and the largest window the other offered for it. What lies outside is dropped and
// changes nothing; a RST must also lie beyond all that was acknowledged (RFC 5961 §3).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace sluice::dataplane {

inline constexpr std::uint8_t kTcpFin = 0x01;
inline constexpr std::uint8_t kTcpSyn = 0x02;
inline constexpr std::uint8_t kTcpRst = 0x04;
inline constexpr std::uint8_t kTcpPsh = 0x08;
inline constexpr std::uint8_t kTcpAck = 0x10;
inline constexpr std::uint8_t kTcpUrg = 0x20;

enum class TcpState : std::uint8_t {
  syn_sent,
  syn_crossed,
  syn_received,
  established,
  fin_opener,
  fin_other,
  closing,
  reset,
};
inline constexpr std::size_t kTcpStates = 8;

// What a header says. Of a segment in fragments `length` is that of the first; see tcp_note_end().
// Sequence numbers wrap (RFC 9293 §3.4).
struct TcpSegment {
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;
  std::uint32_t length = 0;  // of the payload
  std::uint16_t window = 0;  // as written, not scaled
  std::uint8_t flags = 0;
  std::uint8_t scale = 0xff;  // of a SYN's window-scale option (RFC 7323); kNoScale: none
};
inline constexpr std::uint8_t kNoScale = 0xff;
inline constexpr std::uint8_t kScaleMax = 14;

// One side of a connection.
struct TcpSide {
  std::uint32_t end = 0;     // one past the last number it sent
  std::uint32_t acked = 0;   // how far the other side acknowledged
  std::uint16_t window = 0;  // the largest it offered, before scaling
  std::uint8_t scale = 0;
  std::uint8_t spare = 0;
};

struct TcpConnection {
  TcpState state = TcpState::syn_sent;
  std::array<TcpSide, 2> sides;  // [0] the opener
};

enum class TcpAction : std::uint8_t {
  pass,         // belongs to the connection
  pass_aside,   // belongs to it, but says nothing new: no state, no idle time changes
  drop_state,   // does not fit the state: DropReason::no_flow
  drop_window,  // outside the window: DropReason::tcp_window
  reopen,       // a new SYN on a closing tuple: judged by the rules anew
};

struct TcpStep {
  TcpConnection next;  // as before, unless the action is `pass`
  TcpAction action;
};

// How much of a connection passes before our eyes.
enum class TcpView : std::uint8_t {
  whole,
  // tracking = rules_first: most of what the opener sends passes unseen. What the other side sends
  // is taken to be acknowledged, and its first packet after the SYN-ACK tells that the handshake
  // was completed. Data and FIN are believed and followed, since an earlier table may have let
  // others of their side pass unseen; a RST must lie in the window that was seen.
  other_side,
  // The same, and the rules allow what the other side sends too: no window is seen at all.
  neither,
};

// May a packet with these flags open a connection? SYN, and none of ACK, RST, FIN (RFC 9293 §3.5).
[[nodiscard]] constexpr bool is_tcp_open(std::uint8_t flags) {
  return (flags & (kTcpSyn | kTcpAck | kTcpRst | kTcpFin)) == kTcpSyn;
}

// The sides of a connection after the SYN that opened it; it is in syn_sent. Written in place,
// field by field: a copy of what was just put together in parts waits for all stores before it.
void tcp_open(const TcpSegment& syn, std::array<TcpSide, 2>& sides) noexcept;

// A connection first met in its middle: what was said before is unknown, so the windows are the
// largest there are.
[[nodiscard]] TcpConnection tcp_adopted(const TcpSegment& segment, bool from_opener) noexcept;

// `from_opener`: the packet travels in the direction of the flow's first packet.
[[nodiscard]] TcpStep tcp_step(const TcpConnection& connection, bool from_opener,
                               const TcpSegment& segment, TcpView view) noexcept;
// The common case of tcp_advance, inline: data or an acknowledgement, of a connection that is seen
// whole and whose handshake must be done. False: another case, or outside the window; nothing was
// changed.
[[nodiscard]] inline bool tcp_take_data(TcpSide& sender, TcpSide& receiver,
                                        const TcpSegment& segment) noexcept {
  constexpr std::uint8_t kEdges = kTcpSyn | kTcpFin | kTcpRst | kTcpAck;
  if ((segment.flags & kEdges) != kTcpAck) return false;
  const std::uint32_t window = std::uint32_t{receiver.window} << receiver.scale;
  const std::uint32_t end = segment.seq + segment.length;
  // As signed distances: within the window ahead, not a window behind, and no number acknowledged
  // that was not sent, or that is long past.
  const auto ahead = static_cast<std::int32_t>(sender.acked + window - end);
  const auto behind = static_cast<std::int32_t>(end - (sender.acked - window));
  const auto unsent = static_cast<std::int32_t>(receiver.end - segment.ack);
  const auto fresh = static_cast<std::int32_t>(segment.ack - receiver.acked);
  if ((ahead | behind | unsent | fresh) < 0) return false;
  sender.end = static_cast<std::int32_t>(end - sender.end) > 0 ? end : sender.end;
  sender.window = segment.window > sender.window ? segment.window : sender.window;
  receiver.acked = segment.ack;
  return true;
}

// The same in place: changed where the action is `pass`, and only there.
[[nodiscard]] TcpAction tcp_advance(TcpState& state, std::array<TcpSide, 2>& sides,
                                    bool from_opener, const TcpSegment& segment,
                                    TcpView view) noexcept;

// More of a segment than its first fragment held was sent, up to `end`.
void tcp_note_end(TcpSide& sender, std::uint32_t end) noexcept;

}  // namespace sluice::dataplane
