// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow_stage.h"

#include <cstring>

#include "dataplane/tcp_state.h"
#include "rules/model.h"

namespace sluice::dataplane {
namespace {

// Buckets swept for expired flows with each burst, and beside them one for every four new flows,
// which is what a bucket of a full table holds: the sweep keeps up with any rate.
constexpr std::size_t kExpireBuckets = 4;
constexpr std::size_t kFlowsABucket = 4;
// Cells reviewed with each burst after a change, and with each idle round.
constexpr std::size_t kReviewCells = 64;
constexpr std::size_t kReviewCellsIdle = 2048;

constexpr std::uint8_t kEdgeFlags = kTcpSyn | kTcpFin | kTcpRst;

bool is_tcp(const Packet& packet) {
  return packet.protocol == rules::kProtocolTcp;
}
bool is_echo(const Packet& packet) {
  return packet.protocol == rules::kProtocolIcmp || packet.protocol == rules::kProtocolIcmpv6;
}

void drop(Verdict& verdict, DropReason reason) noexcept {
  verdict.reason = reason;
  verdict.flow = FlowKind::none;
  verdict.rule = {};
}
void pass(Verdict& verdict, FlowKind flow, rules::RuleRef rule) noexcept {
  verdict.reason = DropReason::none;
  verdict.flow = flow;
  verdict.rule = rule;
}

FlowState opening_state(const Packet& packet) {
  if (is_tcp(packet)) return FlowState::tcp_first;
  if (packet.protocol == rules::kProtocolUdp) return FlowState::udp_unreplied;
  return is_echo(packet) ? FlowState::icmp_echo : FlowState::other;
}

// The rules' view of the packet that this one answers.
rules::PacketKey reversed_key(const Packet& packet, rules::PolicyIndex policy) noexcept {
  const rules::Direction reversed = packet.direction == rules::Direction::inbound
                                        ? rules::Direction::outbound
                                        : rules::Direction::inbound;
  return opener_key(packet.key, reversed, policy);
}

}  // namespace

void FlowStage::begin(const Snapshot& snapshot, TimeNs now, bool is_idle) noexcept {
  snapshot_ = &snapshot;
  flows_.set_clock(now, snapshot.settings.timeouts);
  if (!started_) {
    started_ = true;
    adopt_until_s_ = flows_.now_s() + snapshot.settings.adopt_s;
  }
  is_adopting_ = flows_.now_s() < adopt_until_s_;
  is_strict_ = snapshot.settings.tracking == Tracking::strict;
  review_.set_snapshot(snapshot);
  tidy_up(is_idle);
}

void FlowStage::tidy_up(bool is_idle) noexcept {
  const std::uint64_t news = opened_ + adopted_ - swept_for_;
  swept_for_ += news;
  flows_.expire(kExpireBuckets + (news + kFlowsABucket - 1) / kFlowsABucket);
  if (!review_.is_complete()) review_.sweep(is_idle ? kReviewCellsIdle : kReviewCells);
}

bool FlowStage::allows(const Work& work) const noexcept {
  if (work.rules != Work::Rules::unasked) return work.rules == Work::Rules::allowed;
  return snapshot_->table->allows(rules_key(work.packet, work.lb.policy));
}

// Asked where a packet opens a flow or changes its state: a packet that its receiver will not take
// must do neither. Data alone is not worth the reading.
bool FlowStage::has_bad_checksum(const Packet& packet) const noexcept {
  return snapshot_->settings.verify_checksums && !is_checksum_right(packet);
}

void FlowStage::judge(Work& work, Verdict& verdict) noexcept {
  Flow* flow = flows_.find(work.packet.key, work.hash, work.cell);
  if (flow != nullptr && is_strict_ && is_tcp(work.packet) && settled().has(*flow, work.lb) &&
      settled().take<Tracking::strict>(*flow, work.packet.tcp, work.packet.direction))
    return pass(verdict, FlowKind::established, flow->rule);
  if (flow != nullptr && !(flow->flags & kFlowEnded) && !review_.may_go_on(*flow, work.lb)) {
    end_by_change(flow, work);
    return drop(verdict, DropReason::revoked);
  }
  if (flow != nullptr && advance(*flow, work, verdict)) return;
  open(work, flow, verdict);
}

bool FlowStage::may_go_on(Flow& flow, const rules::LbMatch& lb) noexcept {
  constexpr std::uint8_t kMust = kFlowLive | kFlowReplied;
  if ((flow.flags & (kMust | kFlowEnded)) != kMust || flows_.is_over(flow)) return false;
  return review_.may_go_on(flow, lb);
}

// While connections are adopted, one that a change has ended must be remembered: its packets would
// look like those of a connection from before the start.
void FlowStage::end_by_change(Flow* flow, const Work& work) noexcept {
  if (!is_adopting_ || flows_.key_of(*flow).protocol != rules::kProtocolTcp)
    return flows_.erase(flow);
  flow->flags |= kFlowEnded;
  flows_.touch(flow);
  flows_.set_state(flow, work.hash, FlowState::tcp_first);
}

bool FlowStage::advance(Flow& flow, const Work& work, Verdict& verdict) noexcept {
  if (is_tcp(work.packet)) return advance_tcp(flow, work, verdict);
  if (is_echo(work.packet)) return advance_echo(flow, work, verdict);
  if (work.packet.direction != opener_of(flow) && !(flow.flags & kFlowReplied)) {
    if (has_bad_checksum(work.packet)) {
      drop(verdict, DropReason::bad_checksum);
      return true;
    }
    flows_.mark_replied(&flow);
    if (flow.state == FlowState::udp_unreplied)
      flows_.set_state(&flow, work.hash, FlowState::udp_replied);
  }
  pass_on(flow, verdict);
  return true;
}

// Requests of the opener and replies of the other side; a request of the other side opens anew.
bool FlowStage::advance_echo(Flow& flow, const Work& work, Verdict& verdict) noexcept {
  const bool from_opener = work.packet.direction == opener_of(flow);
  if (from_opener == work.packet.is_echo_reply) {
    if (!work.packet.is_echo_reply) return false;
    drop(verdict, DropReason::no_flow);
    return true;
  }
  if (!from_opener && !(flow.flags & kFlowReplied)) {
    if (has_bad_checksum(work.packet)) {
      drop(verdict, DropReason::bad_checksum);
      return true;
    }
    flows_.mark_replied(&flow);
  }
  pass_on(flow, verdict);
  return true;
}

TcpView FlowStage::view_of(const Work& work, bool from_opener) const noexcept {
  if (is_strict_) return TcpView::whole;
  // Only a RST asks what its window is worth.
  if (!(work.packet.tcp.flags & kTcpRst)) return TcpView::other_side;
  const bool other_is_unseen =
      from_opener ? snapshot_->table->allows(reversed_key(work.packet, work.lb.policy))
                  : allows(work);
  return other_is_unseen ? TcpView::neither : TcpView::other_side;
}

bool FlowStage::advance_tcp(Flow& flow, const Work& work, Verdict& verdict) noexcept {
  const Packet& packet = work.packet;
  const bool from_opener = packet.direction == opener_of(flow);
  if (flow.flags & kFlowEnded) {
    if (is_tcp_open(packet.tcp.flags)) return false;
    flows_.touch(&flow);
    if (!is_strict_ && allows(work)) {
      pass(verdict, FlowKind::none, {});
    } else {
      drop(verdict, DropReason::no_flow);
    }
    return true;
  }
  if ((packet.tcp.flags & kEdgeFlags) != 0 && has_bad_checksum(packet)) {
    drop(verdict, DropReason::bad_checksum);
    return true;
  }
  const TcpView view = view_of(work, from_opener);
  const auto state = static_cast<TcpState>(flow.state);
  TcpState next = state;
  switch (tcp_advance(next, flow.sides, from_opener, packet.tcp, view)) {
    case TcpAction::reopen:
      return false;
    case TcpAction::drop_state:
      drop(verdict, DropReason::no_flow);
      return true;
    case TcpAction::drop_window:
      drop(verdict, DropReason::tcp_window);
      return true;
    case TcpAction::pass_aside:
      pass(verdict, FlowKind::established, flow.rule);
      return true;
    case TcpAction::pass:
      break;
  }
  pass_on(flow, verdict);
  if (next != state) flows_.set_state(&flow, work.hash, static_cast<FlowState>(next));
  const bool is_established = next >= TcpState::established && next != TcpState::reset;
  if (is_established && (!from_opener || state < TcpState::established)) flows_.mark_replied(&flow);
  return true;
}

void FlowStage::pass_on(Flow& flow, Verdict& verdict) noexcept {
  flows_.touch(&flow);
  pass(verdict, FlowKind::established, flow.rule);
}

// `previous`: a flow with this key that gives way if the rules allow the new one.
void FlowStage::open(const Work& work, Flow* previous, Verdict& verdict) noexcept {
  const Packet& packet = work.packet;
  if (!may_open(packet)) {
    if (!is_strict_ && is_tcp(packet) && allows(work)) return pass(verdict, FlowKind::none, {});
    if (is_adopting_ && adopt(work, verdict)) return;
    return drop(verdict, DropReason::no_flow);
  }
  if (!allows(work)) return drop(verdict, DropReason::no_rule);
  if (has_bad_checksum(packet)) return drop(verdict, DropReason::bad_checksum);
  if (previous != nullptr) flows_.erase(previous);
  Flow* flow = insert(work, packet.direction, opening_state(packet));
  if (flow == nullptr) return drop(verdict, DropReason::flow_table_full);
  if (is_tcp(packet)) tcp_open(packet.tcp, flow->sides);
  ++opened_;
  pass(verdict, FlowKind::fresh, flow->rule);
}

// A connection from before the start, if the rules allow its packet, or the one it answers. Where
// both are allowed, the side with the smaller port is taken for the server. False: not adopted.
bool FlowStage::adopt(const Work& work, Verdict& verdict) noexcept {
  const Packet& packet = work.packet;
  if (!is_tcp(packet) || (packet.tcp.flags & (kTcpSyn | kTcpRst | kTcpAck)) != kTcpAck)
    return false;
  const rules::PacketKey reversed = reversed_key(packet, work.lb.policy);
  const bool forth = allows(work), back = snapshot_->table->allows(reversed);
  if (!forth && !back) return false;
  const bool from_opener = forth && !(back && reversed.service < packet.service);
  Flow* flow = insert(work, from_opener ? packet.direction : reversed.direction,
                      static_cast<FlowState>(TcpState::established));
  if (flow == nullptr) {
    drop(verdict, DropReason::flow_table_full);
    return true;
  }
  const TcpConnection connection = tcp_adopted(packet.tcp, from_opener);
  flow->sides = connection.sides;
  flows_.set_state(flow, work.hash, static_cast<FlowState>(connection.state));
  ++adopted_;
  pass(verdict, FlowKind::adopted, flow->rule);
  return true;
}

Flow* FlowStage::insert(const Work& work, rules::Direction opener, FlowState state) noexcept {
  if (flows_.is_pressed()) ++pressed_;
  const FlowKey& key = work.packet.key;
  Flow* flow = work.host ? flows_.insert(key, work.hash, state, *work.host)
                         : flows_.insert(key, work.hash, state);
  if (flow == nullptr) return nullptr;
  if (opener == rules::Direction::outbound) flow->flags |= kFlowOutbound;
  review_.stamp(*flow);
  if (const auto* rule = snapshot_->table->find_rule(opener_key(key, opener, work.lb.policy)))
    flow->rule = *rule;
  return flow;
}

bool FlowStage::goes_on(const Work& first) noexcept {
  Flow* flow = flows_.find(first.packet.key, first.hash);
  if (flow == nullptr || (flow->flags & kFlowEnded)) return false;
  if (review_.may_go_on(*flow, first.lb)) return true;
  end_by_change(flow, first);
  return false;
}

void FlowStage::note_end(const FlowKey& key, rules::Direction from, std::uint32_t end) noexcept {
  Flow* flow = flows_.find(key, flows_.hash(key));
  if (flow == nullptr || (flow->flags & kFlowEnded)) return;
  tcp_note_end(flow->sides[from == opener_of(*flow) ? 0 : 1], end);
}

bool FlowStage::is_replied(const Work& work) noexcept {
  const Flow* flow = flows_.find(work.packet.key, work.hash);
  return flow != nullptr && (flow->flags & kFlowReplied);
}

bool FlowStage::judge_embedded(Work& work, Verdict& verdict) noexcept {
  if (!work.packet.has_embedded_key) return false;
  Flow* flow = flows_.find(work.packet.key, work.hash, work.cell);
  if (flow == nullptr || (flow->flags & kFlowEnded)) return false;
  if (!review_.may_go_on(*flow, work.lb)) {
    end_by_change(flow, work);
    drop(verdict, DropReason::revoked);
  } else {
    pass(verdict, FlowKind::related, flow->rule);
  }
  return true;
}

}  // namespace sluice::dataplane
