// SPDX-License-Identifier: Apache-2.0
//
// The pipeline's fragment stage: a first fragment is judged as a whole packet, later ones share its
// verdict, whoever contradicts takes the rest of the datagram with him.
#include "dataplane/pipeline.h"

namespace sluice::dataplane {
namespace {

void drop(Verdict& verdict, DropReason reason) noexcept {
  verdict.reason = reason;
  verdict.flow = FlowKind::none;
  verdict.rule = {};
}

}  // namespace

void Pipeline::judge_fragment(Work& work, Verdict& verdict) noexcept {
  const Packet& packet = work.packet;
  Datagram* datagram = fragments_.find(datagram_key_of(packet));
  if (datagram != nullptr && datagram->state == DatagramState::dropped)
    return drop(verdict, datagram->verdict.reason);
  const bool is_wrong_alone =
      packet.kind == PacketKind::fragment && packet.reason == DropReason::fragment_invalid;
  if (is_wrong_alone || (datagram != nullptr &&
                         FragmentTracker::add(*datagram, packet.fragment) == Fit::contradicts)) {
    drop(verdict, DropReason::fragment_invalid);
    return fragments_.settle(datagram, packet, verdict);
  }
  if (packet.fragment.is_first()) return judge_first(work, datagram, verdict);
  if (datagram != nullptr && datagram->state == DatagramState::passing)
    return judge_later(work, *datagram, verdict);
  if (fragments_.hold(datagram, packet, *work.frame, verdict)) {
    verdict.is_held = true;
    return;
  }
  drop(verdict, DropReason::fragment_orphan);
}

// Also one that comes again: its header may be another, so it is judged again, and on its own.
void Pipeline::judge_first(Work& work, Datagram* datagram, Verdict& verdict) noexcept {
  judge_by_kind(work, verdict);
  if (datagram != nullptr && datagram->state == DatagramState::passing) return;
  const bool is_live = verdict.flow == FlowKind::established && stage_.is_replied(work);
  fragments_.settle(datagram, work.packet, verdict, is_live);
  if (datagram != nullptr) note_end(*datagram, work.packet);
}

void Pipeline::judge_later(const Work& work, Datagram& datagram, Verdict& verdict) noexcept {
  const std::uint64_t generation = verdict.generation;
  if (datagram.verdict.generation != generation) {
    if (!is_still_allowed(work, datagram)) {
      drop(verdict, DropReason::revoked);
      return fragments_.settle(&datagram, work.packet, verdict);
    }
    datagram.verdict.generation = generation;
  }
  fragments_.note_progress(datagram);
  verdict = verdict_of_later(datagram.verdict);
  if (!work.packet.fragment.more) note_end(datagram, work.packet);
}

// Its receiver will acknowledge all of a TCP segment, not only what the first fragment held.
void Pipeline::note_end(const Datagram& datagram, const Packet& packet) noexcept {
  const bool is_known = datagram.end_bytes != 0 && datagram.state == DatagramState::passing;
  if (!is_known || datagram.protocol != rules::kProtocolTcp) return;
  if (datagram.verdict.flow == FlowKind::none) return;
  stage_.note_end(datagram.flow, packet.direction, datagram.tcp_begin + datagram.end_bytes);
}

// A newer table came between the first fragment and this one: what passed by a flow goes on while
// the flow does; what passed by a rule alone, while a rule allows it.
bool Pipeline::is_still_allowed(const Work& work, const Datagram& datagram) noexcept {
  if (datagram.verdict.flow != FlowKind::none) {
    Work first = work;
    first.packet.key = datagram.flow;
    first.hash = flows_.hash(datagram.flow);
    return stage_.goes_on(first);
  }
  const rules::PacketKey key{work.packet.remote, work.lb.policy, datagram.service,
                             datagram.protocol, work.packet.direction};
  return snapshot_->table->allows(key);
}

// The headers of a first fragment were refused before its place in the datagram was looked at.
void Pipeline::note_dropped_first(const Packet& packet, const Verdict& verdict) noexcept {
  Datagram* datagram = fragments_.find(datagram_key_of(packet));
  if (datagram == nullptr || datagram->state == DatagramState::waiting)
    fragments_.settle(datagram, packet, verdict);
}

}  // namespace sluice::dataplane
