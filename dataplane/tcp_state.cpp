// SPDX-License-Identifier: Apache-2.0
#include "dataplane/tcp_state.h"

namespace sluice::dataplane {
namespace {

bool is_closing(TcpState state) {
  return state == TcpState::fin_opener || state == TcpState::fin_other ||
         state == TcpState::closing || state == TcpState::reset;
}

TcpState with_fin(TcpState state, bool from_opener) {
  const TcpState mine = from_opener ? TcpState::fin_opener : TcpState::fin_other;
  const TcpState theirs = from_opener ? TcpState::fin_other : TcpState::fin_opener;
  if (state == theirs) return TcpState::closing;
  return state == TcpState::closing ? TcpState::closing : mine;
}

}  // namespace

TcpStep tcp_step(TcpState state, bool from_opener, std::uint8_t flags) noexcept {
  const bool syn = flags & kTcpSyn, ack = flags & kTcpAck;
  if (is_tcp_open(flags) && is_closing(state)) return {state, TcpAction::reopen};
  if (flags & kTcpRst) {
    // The answer to a SYN may refuse it; nothing but that may come from the other side before.
    return {TcpState::reset, TcpAction::pass};
  }
  switch (state) {
    case TcpState::syn_sent:
      if (from_opener)
        return syn && !ack ? TcpStep{state, TcpAction::pass} : TcpStep{state, TcpAction::drop};
      return syn && ack ? TcpStep{TcpState::syn_received, TcpAction::pass}
                        : TcpStep{state, TcpAction::drop};
    case TcpState::syn_received:
      if (from_opener) {
        if (syn) return {state, ack ? TcpAction::drop : TcpAction::pass};
        if (!ack) return {state, TcpAction::drop};
        const TcpState next = flags & kTcpFin ? TcpState::fin_opener : TcpState::established;
        return {next, TcpAction::pass};
      }
      // The SYN-ACK again; data of the other side before the opener's ACK fits no handshake.
      return {state, syn && ack ? TcpAction::pass : TcpAction::drop};
    case TcpState::established:
    case TcpState::fin_opener:
    case TcpState::fin_other:
    case TcpState::closing:
    case TcpState::reset:
      // A repeated SYN-ACK means that the opener's ACK was lost; the opener answers it again.
      if (syn) return {state, ack && !from_opener ? TcpAction::pass : TcpAction::drop};
      if (!ack) return {state, TcpAction::drop};
      if (flags & kTcpFin && state != TcpState::reset)
        return {with_fin(state, from_opener), TcpAction::pass};
      return {state, TcpAction::pass};
  }
  return {state, TcpAction::drop};
}

}  // namespace sluice::dataplane
