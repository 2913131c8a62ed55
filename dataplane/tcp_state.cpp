// SPDX-License-Identifier: Apache-2.0
#include "dataplane/tcp_state.h"

#include <algorithm>

namespace sluice::dataplane {
namespace {

using enum TcpState;

// A number that neither side can have sent yet may be acknowledged in an adopted connection.
constexpr std::uint32_t kUnseen = 1u << 24;
// Old acknowledgements are late, not forged, up to here (RFC 5961 §5: the largest window).
constexpr std::uint32_t kOldAck = 1u << 16;

// a is at or after b, in numbers that wrap.
bool reaches(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::int32_t>(a - b) >= 0;
}
std::uint32_t later(std::uint32_t a, std::uint32_t b) {
  return reaches(a, b) ? a : b;
}

bool is_closing(TcpState state) {
  return state >= fin_opener;
}

// SYN and FIN count as one number each (RFC 9293 §3.4).
std::uint32_t end_of(const TcpSegment& segment) {
  return segment.seq + segment.length + ((segment.flags & kTcpSyn) ? 1 : 0) +
         ((segment.flags & kTcpFin) ? 1 : 0);
}

// Where the handshake came to no end, no scale was agreed on.
std::uint32_t window_of(const TcpSide& side) {
  const unsigned shift = side.scale == kNoScale ? 0 : side.scale;
  return std::max<std::uint32_t>(std::uint32_t{side.window} << shift, 1);
}

void begin_side(TcpSide& side, const TcpSegment& syn) {
  side.end = end_of(syn);
  side.acked = syn.seq;
  side.window = syn.window;
  side.scale = syn.scale == kNoScale ? kNoScale : std::min(syn.scale, kScaleMax);
}

// Scaling holds if both SYNs offered it; the windows of the SYNs themselves are not scaled.
void agree_on_scale(TcpSide& a, TcpSide& b) {
  const bool both = a.scale != kNoScale && b.scale != kNoScale;
  for (TcpSide* side : {&a, &b}) {
    side->scale = both ? side->scale : 0;
    const std::uint32_t unit = 1u << side->scale;
    side->window = static_cast<std::uint16_t>((side->window + unit - 1) >> side->scale);
  }
}

TcpState with_fin(TcpState state, bool from_opener) {
  const TcpState mine = from_opener ? fin_opener : fin_other;
  const TcpState theirs = from_opener ? fin_other : fin_opener;
  if (state == established || state == mine) return mine;
  return state == theirs || state == closing ? closing : state;
}

// Could `sender` have sent this, given what `receiver` offered and both have said?
bool is_in_window(const TcpSide& sender, const TcpSide& receiver, const TcpSegment& segment) {
  const std::uint32_t window = window_of(receiver);
  const std::uint32_t end = end_of(segment);
  // One beyond: a probe of a closed window, or the FIN after a full one.
  if (!reaches(sender.acked + window + 1, end)) return false;
  if (!reaches(end, sender.acked - window)) return false;
  if (!(segment.flags & kTcpAck)) return true;
  return reaches(receiver.end, segment.ack) &&
         reaches(segment.ack, receiver.acked - window_of(sender) - kOldAck);
}

bool is_reset_in_window(const TcpSide& sender, const TcpSide& receiver, const TcpSegment& segment) {
  return reaches(segment.seq, sender.acked) &&
         reaches(sender.acked + window_of(receiver), segment.seq);
}

// One packet on its way through the machine.
struct Stepper {
  TcpState& state;
  TcpSide& sender;
  TcpSide& receiver;
  const TcpSegment& segment;
  bool from_opener;

  // Takes over what a packet in the window tells.
  TcpAction accept(TcpState next) {
    sender.end = later(sender.end, end_of(segment));
    sender.window = std::max(sender.window, segment.window);
    if (segment.flags & kTcpAck) receiver.acked = later(receiver.acked, segment.ack);
    state = next;
    return TcpAction::pass;
  }

  // Names a number of that SYN or its data: whoever can has seen it. (Its own number, one less than
  // a right answer has, betrays no less and is let pass: the hosts will sort it out.)
  [[nodiscard]] bool knows_syn_of(const TcpSide& side) const {
    return reaches(segment.ack, side.acked) && reaches(side.end, segment.ack);
  }

  TcpAction on_syn() {
    if (is_closing(state)) return TcpAction::reopen;
    const bool repeated = sender.end == end_of(segment);
    switch (state) {
      case syn_sent:
        begin_side(sender, segment);  // the latest counts: the client may have begun again
        state = from_opener ? syn_sent : syn_crossed;
        return TcpAction::pass;
      case syn_crossed:
        return repeated ? TcpAction::pass : TcpAction::drop_window;
      default:
        // The opener begins again and does not know it: the other side's challenge ACK will make
        // it reset the old connection first (RFC 5961 §4). Nobody else may.
        if (!from_opener) return TcpAction::drop_state;
        return repeated && state == syn_received ? TcpAction::pass : TcpAction::pass_aside;
    }
  }

  TcpAction on_syn_ack() {
    const bool answers = knows_syn_of(receiver);
    switch (state) {
      case syn_sent:
        if (from_opener) return TcpAction::drop_state;
        if (!answers) return TcpAction::drop_window;
        begin_side(sender, segment);
        agree_on_scale(sender, receiver);
        receiver.acked = segment.ack;
        state = syn_received;
        return TcpAction::pass;
      case syn_crossed:
        if (!answers || sender.end != end_of(segment)) return TcpAction::drop_window;
        if (from_opener) return TcpAction::pass;
        agree_on_scale(sender, receiver);
        receiver.acked = segment.ack;
        state = syn_received;
        return TcpAction::pass;
      default:
        // Again: the opener's ACK was lost. Of the opener itself only after crossing SYNs.
        if (from_opener && state != syn_received) return TcpAction::drop_state;
        if (from_opener && segment.ack != receiver.end) return TcpAction::drop_state;
        return is_in_window(sender, receiver, segment) ? TcpAction::pass_aside
                                                       : TcpAction::drop_window;
    }
  }

  // Under rules_first a number that is news tells what passed unseen before it.
  bool is_credible(TcpView view) {
    if (is_in_window(sender, receiver, segment)) return true;
    if (view == TcpView::whole) return false;
    sender.end = end_of(segment);
    sender.acked = segment.seq;
    receiver.end = receiver.acked = segment.ack;
    return true;
  }

  TcpAction on_reset(TcpView view) {
    // A refusal must acknowledge the SYN it refuses (RFC 9293 §3.10.7.3); it has no window yet.
    if (state == syn_sent || state == syn_crossed) {
      const bool right = from_opener ? segment.seq == sender.end
                                     : (segment.flags & kTcpAck) && knows_syn_of(receiver);
      if (!right) return TcpAction::drop_window;
    } else if (view != TcpView::neither && !is_reset_in_window(sender, receiver, segment)) {
      return TcpAction::drop_window;
    }
    state = reset;
    return TcpAction::pass;
  }

  TcpAction on_handshake(TcpView view) {
    const bool completes = state == syn_received && (from_opener || view != TcpView::whole);
    if (!completes) return TcpAction::drop_state;
    // Behind rules_first it may acknowledge more than was seen.
    const bool answers =
        view == TcpView::whole ? knows_syn_of(receiver) : reaches(segment.ack, receiver.acked);
    if (from_opener && !answers) return TcpAction::drop_window;
    if (!is_credible(view)) return TcpAction::drop_window;
    return accept((segment.flags & kTcpFin) ? with_fin(established, from_opener) : established);
  }

  TcpAction on_data(TcpView view) {
    if (!is_credible(view)) return TcpAction::drop_window;
    const bool fin = segment.flags & kTcpFin;
    return accept(fin ? with_fin(state, from_opener) : state);
  }

  TcpAction step(TcpView view) {
    if (is_tcp_open(segment.flags)) return on_syn();
    if (segment.flags & kTcpRst) return on_reset(view);
    if (!(segment.flags & kTcpAck)) return TcpAction::drop_state;
    if (segment.flags & kTcpSyn) return on_syn_ack();
    return state < established ? on_handshake(view) : on_data(view);
  }
};

// Where only one side is seen: fills in what passed unseen.
void assume(TcpSide& sender, TcpSide& receiver, const TcpSegment& segment) {
  sender.acked = later(sender.acked, sender.end);
  receiver.window = 0xffff;
  if (segment.flags & kTcpAck) receiver.end = later(receiver.end, segment.ack);
}

}  // namespace

void tcp_open(const TcpSegment& syn, std::array<TcpSide, 2>& sides) noexcept {
  begin_side(sides[0], syn);
  sides[1] = {};
}

TcpConnection tcp_adopted(const TcpSegment& segment, bool from_opener) noexcept {
  const TcpSide sender{end_of(segment) + kUnseen, segment.seq, 0xffff, kScaleMax, 0};
  const TcpSide receiver{segment.ack + kUnseen, segment.ack, 0xffff, kScaleMax, 0};
  const bool fin = segment.flags & kTcpFin;
  const TcpState state = fin ? with_fin(established, from_opener) : established;
  return from_opener ? TcpConnection{state, {sender, receiver}}
                     : TcpConnection{state, {receiver, sender}};
}

TcpAction tcp_advance(TcpState& state, std::array<TcpSide, 2>& sides, bool from_opener,
                      const TcpSegment& segment, TcpView view) noexcept {
  TcpSide& sender = sides[from_opener ? 0 : 1];
  TcpSide& receiver = sides[from_opener ? 1 : 0];
  const bool is_unseen =
      view != TcpView::whole && !from_opener && state > syn_crossed && !is_tcp_open(segment.flags);
  if (!is_unseen) return Stepper{state, sender, receiver, segment, from_opener}.step(view);
  TcpSide assumed_sender = sender, assumed_receiver = receiver;
  assume(assumed_sender, assumed_receiver, segment);
  const TcpAction action =
      Stepper{state, assumed_sender, assumed_receiver, segment, from_opener}.step(view);
  if (action == TcpAction::pass) {
    sender = assumed_sender;
    receiver = assumed_receiver;
  }
  return action;
}

TcpStep tcp_step(const TcpConnection& connection, bool from_opener, const TcpSegment& segment,
                 TcpView view) noexcept {
  TcpStep step{connection, TcpAction::pass};
  step.action = tcp_advance(step.next.state, step.next.sides, from_opener, segment, view);
  return step;
}

void tcp_note_end(TcpSide& sender, std::uint32_t end) noexcept {
  sender.end = later(sender.end, end);
}

}  // namespace sluice::dataplane
