// SPDX-License-Identifier: Apache-2.0
#include "tests/oracle/fragment_model.h"

#include <algorithm>
#include <utility>

namespace sluice::oracle {
namespace {

using dataplane::DropReason;
using dataplane::FlowKind;

constexpr TimeMs kLifetime = 2000, kHold = 200;
constexpr std::size_t kPiecesMax = 128, kHeldPerDatagram = 64;

std::uint32_t end_of(const Piece& piece) {
  return piece.offset_bytes + piece.size_bytes;
}
bool is_same(const Piece& a, const Piece& b) {
  return a.offset_bytes == b.offset_bytes && a.size_bytes == b.size_bytes && a.more == b.more;
}
bool do_overlap(const Piece& a, const Piece& b) {
  return a.offset_bytes < end_of(b) && b.offset_bytes < end_of(a);
}
// One of them is the last, and the other lies beyond it.
bool is_behind_the_end(const Piece& piece, const Piece& last) {
  return !last.more &&
         (end_of(piece) > end_of(last) || (end_of(piece) == end_of(last) && !is_same(piece, last)));
}
bool contradicts(const std::vector<Piece>& seen, const Piece& piece) {
  for (const Piece& other : seen) {
    if (is_same(other, piece)) continue;
    if (do_overlap(other, piece)) return true;
    if (is_behind_the_end(piece, other) || is_behind_the_end(other, piece)) return true;
  }
  const auto same = [&](const Piece& other) { return is_same(other, piece); };
  return std::none_of(seen.begin(), seen.end(), same) && seen.size() == kPiecesMax;
}

Outcome as_later(Outcome first, const Outcome& so_far) {
  if (first.flow == FlowKind::fresh || first.flow == FlowKind::adopted)
    first.flow = FlowKind::established;
  first.lb = so_far.lb;
  return first;
}

}  // namespace

void FragmentModel::pass_time(TimeMs now) {
  now_ = now;
  std::vector<Datagram*> late;
  for (auto& [key, datagram] : datagrams_)
    if (datagram.state == State::waiting && now - datagram.born >= kHold) late.push_back(&datagram);
  std::sort(late.begin(), late.end(), [](auto* a, auto* b) { return a->order < b->order; });
  for (Datagram* datagram : late) {
    Outcome orphan;
    orphan.reason = DropReason::fragment_orphan;
    release(*datagram, orphan);
  }
  std::erase_if(datagrams_, [&](const auto& entry) {
    const TimeMs age = now - entry.second.born;
    return age >= kLifetime || (entry.second.state == State::waiting && age >= kHold);
  });
}

Outcome FragmentModel::judge(std::uint64_t number, const SpokenPacket& packet) {
  Outcome so_far;
  if (const auto judged = flows_.judge_address(packet, so_far)) {
    // Its own header was refused: so is the rest. (The header of the frame, or an address that
    // nobody owns, says nothing about a datagram.)
    const bool is_of_datagram =
        judged->reason == DropReason::ip_options || judged->reason == DropReason::tcp_flags ||
        judged->reason == DropReason::malformed || judged->reason == DropReason::martian;
    if (packet.piece && packet.piece->offset_bytes == 0 && is_of_datagram) {
      const auto known = datagrams_.find(key_of(packet));
      if (known == datagrams_.end() || known->second.state == State::waiting)
        settle(packet, *judged);
    }
    return *judged;
  }
  if (so_far.lb == 0) return so_far;
  return packet.piece ? judge_fragment(number, packet, so_far) : flows_.judge(packet, so_far);
}

// Hosts reassemble IPv6 without a look at the protocol (RFC 8200 §4.5).
FragmentModel::Key FragmentModel::key_of(const SpokenPacket& packet) const {
  const bool v6 = packet.source.family == rules::Family::ipv6;
  return {packet.from_outside,
          packet.vlan,
          packet.source,
          packet.destination,
          v6 ? std::uint8_t{0} : packet.protocol,
          packet.piece->id};
}

FragmentModel::Datagram& FragmentModel::datagram_of(const SpokenPacket& packet) {
  const auto [entry, is_new] = datagrams_.try_emplace(key_of(packet));
  if (is_new) {
    entry->second.born = now_;
    entry->second.order = appeared_++;
  }
  return entry->second;
}

Outcome FragmentModel::judge_fragment(std::uint64_t number, const SpokenPacket& packet,
                                      const Outcome& so_far) {
  const Piece& piece = *packet.piece;
  Datagram& datagram = datagram_of(packet);
  Outcome invalid = so_far;
  invalid.reason = DropReason::fragment_invalid;
  if (datagram.state == State::dropped) {
    Outcome shared = datagram.verdict;
    shared.lb = so_far.lb;
    return shared;
  }
  if (!is_sane(piece, packet.protocol) || contradicts(datagram.pieces, piece)) {
    settle(packet, invalid);
    return invalid;
  }
  const auto same = [&](const Piece& other) { return is_same(other, piece); };
  if (std::none_of(datagram.pieces.begin(), datagram.pieces.end(), same))
    datagram.pieces.push_back(piece);
  if (piece.offset_bytes == 0) {
    Outcome outcome = so_far;
    // That of the first that came; one that comes again is judged on its own.
    if (datagram.state == State::waiting)
      datagram.tcp_base = flows_.numbers_for(packet).seq + (packet.tcp_flags & 2 ? 1 : 0);
    if (has_transport_header(packet)) {
      outcome = flows_.judge(packet, so_far);
    } else {
      outcome.reason = DropReason::fragment_tiny;
    }
    if (datagram.state == State::waiting) settle(packet, outcome);
    note_progress(datagram);
    return outcome;
  }
  if (datagram.state == State::passing) {
    const Outcome outcome = judge_later(datagram, so_far);
    note_progress(datagram);
    return outcome;
  }
  return hold(number, packet, so_far);
}

void FragmentModel::note_progress(const Datagram& datagram) {
  const bool has_flow = datagram.verdict.passes() && datagram.verdict.flow != FlowKind::none;
  if (datagram.state != State::passing || !has_flow || datagram.first.protocol != 6) return;
  for (const Piece& piece : datagram.pieces)
    if (!piece.more) flows_.note_end(datagram.first, datagram.tcp_base + end_of(piece) - 20);
}

Outcome FragmentModel::judge_later(Datagram& datagram, Outcome so_far) {
  if (datagram.generation != flows_.generation()) {
    if (!flows_.is_still_allowed(datagram.first, datagram.verdict)) {
      so_far.reason = DropReason::revoked;
      datagram.state = State::dropped;
      datagram.verdict = so_far;
      return so_far;
    }
    datagram.generation = flows_.generation();
  }
  return as_later(datagram.verdict, so_far);
}

Outcome FragmentModel::hold(std::uint64_t number, const SpokenPacket& packet,
                            const Outcome& so_far) {
  if (datagram_of(packet).held.size() == kHeldPerDatagram) {
    Outcome orphan = so_far;
    orphan.reason = DropReason::fragment_orphan;
    return orphan;
  }
  datagram_of(packet).held.push_back({number, so_far});
  Outcome outcome = so_far;
  outcome.is_held = true;
  return outcome;
}

void FragmentModel::settle(const SpokenPacket& packet, const Outcome& outcome) {
  Datagram& datagram = datagram_of(packet);
  datagram.state = outcome.passes() ? State::passing : State::dropped;
  datagram.first = packet;
  datagram.verdict = outcome;
  datagram.generation = flows_.generation();
  release(datagram, outcome);
}

void FragmentModel::release(Datagram& datagram, const Outcome& outcome) {
  for (const Held& held : datagram.held)
    released_.push_back({held.number, as_later(outcome, held.so_far)});
  datagram.held.clear();
}

std::vector<ReleasedOutcome> FragmentModel::take_released() {
  return std::exchange(released_, {});
}

void FragmentModel::finish() {
  pass_time(now_ + kLifetime);
}

}  // namespace sluice::oracle
