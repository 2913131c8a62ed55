// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline.h"

#include <array>

#include "dataplane/tcp_state.h"

namespace sluice::dataplane {
namespace {

// Buckets swept for expired flows with each burst: a table of a million flows is walked in
// 32,768 bursts, a fraction of a second of traffic and seconds of idle polling.
constexpr std::uint32_t kExpireBuckets = 8;

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

rules::PacketKey rules_key(const Packet& packet, rules::PolicyIndex policy) noexcept {
  return {packet.remote, policy, packet.service, packet.protocol, packet.direction};
}

// The opener of a flow as the rules saw it.
rules::PacketKey opener_key(const Flow& flow, rules::PolicyIndex policy) noexcept {
  const FlowKey& key = flow.key;
  const bool inbound = flow.opener == rules::Direction::inbound;
  std::uint16_t service = inbound ? key.local_port : key.remote_port;
  if (key.protocol == rules::kProtocolIcmp) service = 8 << 8;
  if (key.protocol == rules::kProtocolIcmpv6) service = 128 << 8;
  return {
      {key.remote_high, key.remote_low, key.family}, policy, service, key.protocol, flow.opener};
}

// What may begin a conversation; everything else needs one that is there.
bool may_open(const Packet& packet) noexcept {
  if (packet.protocol == rules::kProtocolTcp) return is_tcp_open(packet.tcp_flags);
  return !packet.is_echo_reply;
}

}  // namespace

void Pipeline::judge(const Snapshot* snapshot, const Ingress& ingress,
                     std::span<const Frame> frames, TimeNs now,
                     std::span<Verdict> verdicts) noexcept {
  static_assert(kBurstMax <= FragmentTracker::kBurstMax);
  if (snapshot == nullptr) {
    for (Verdict& verdict : verdicts) verdict = {.reason = DropReason::no_table, .rule = {}};
    return;
  }
  snapshot_ = snapshot;
  now_ = now;
  fragments_.pass_time(now);
  std::array<Work, kBurstMax> works;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    works[i].packet = parse(frames[i], ingress, snapshot->settings);
    works[i].frame = &frames[i];
  }
  for (std::size_t i = 0; i < frames.size(); ++i) {
    Work& work = works[i];
    if (work.packet.kind == PacketKind::dropped || work.packet.kind == PacketKind::neighbour)
      continue;
    work.lb = snapshot->table->find_lb(work.packet.zone, work.packet.local);
    if (work.packet.kind == PacketKind::transport || work.packet.has_embedded_key) {
      work.hash = flows_.hash(work.packet.key);
      flows_.prefetch(work.hash);
    }
  }
  // Packets of one burst may belong to one flow, so the rest goes in order, one by one.
  for (std::size_t i = 0; i < frames.size(); ++i) {
    verdicts[i] = {.lb = works[i].lb.lb, .rule = {}, .generation = snapshot->generation()};
    judge_one(works[i], verdicts[i]);
  }
  flows_.expire(now, snapshot->settings.timeouts, kExpireBuckets);
}

void Pipeline::judge_one(Work& work, Verdict& verdict) noexcept {
  const Packet& packet = work.packet;
  const bool outbound = packet.direction == rules::Direction::outbound;
  switch (packet.kind) {
    case PacketKind::dropped:
      drop(verdict, packet.reason);
      return packet.fragment.is_first() ? note_dropped_first(packet, verdict) : void();
    case PacketKind::neighbour:
      return;
    case PacketKind::arp:
      if (outbound && work.lb.lb == 0) drop(verdict, DropReason::spoofed);
      return;
    default:
      break;
  }
  if (work.lb.lb == 0) {
    if (snapshot_->settings.pass_unknown_addresses) return;
    return drop(verdict, outbound ? DropReason::spoofed : DropReason::no_load_balancer);
  }
  return packet.fragment.is_one ? judge_fragment(work, verdict) : judge_by_kind(work, verdict);
}

// A whole packet, or the first fragment of one.
void Pipeline::judge_by_kind(Work& work, Verdict& verdict) noexcept {
  const Packet& packet = work.packet;
  switch (packet.kind) {
    case PacketKind::fragment:
      return drop(verdict, packet.reason);
    case PacketKind::icmp_error:
      return judge_icmp_error(work, verdict);
    case PacketKind::icmp_other: {
      const auto rule = snapshot_->table->rule_of(rules_key(packet, work.lb.policy));
      if (!rule) return drop(verdict, DropReason::no_rule);
      return pass(verdict, FlowKind::none, *rule);
    }
    default:
      return judge_transport(work, verdict);
  }
}

void Pipeline::judge_transport(Work& work, Verdict& verdict) noexcept {
  Flow* flow = find_flow(work, verdict);
  if (!verdict.passes()) return;
  if (flow != nullptr && advance(*flow, work.packet, verdict)) return;
  open_flow(work, flow, verdict);
}

// Null: there is none, or there was one that the rules in force revoke (the verdict says so).
Flow* Pipeline::find_flow(Work& work, Verdict& verdict) noexcept {
  Flow* flow = flows_.find(work.packet.key, work.hash, now_, snapshot_->settings.timeouts);
  if (flow == nullptr || is_still_allowed(*flow, work)) return flow;
  flows_.erase(flow);
  drop(verdict, DropReason::revoked);
  return nullptr;
}

// A flow remembers the generation that judged it; a newer one judges its opener once more.
bool Pipeline::is_still_allowed(Flow& flow, const Work& work) noexcept {
  const auto generation = static_cast<std::uint32_t>(snapshot_->generation());
  if (flow.generation == generation) return true;
  const auto rule = snapshot_->table->rule_of(opener_key(flow, work.lb.policy));
  if (!rule) return false;
  flow.generation = generation;
  flow.rule = *rule;
  return true;
}

bool Pipeline::advance(Flow& flow, const Packet& packet, Verdict& verdict) noexcept {
  const bool from_opener = packet.direction == flow.opener;
  bool replied = !from_opener;
  if (packet.protocol == rules::kProtocolTcp) {
    const TcpStep step = tcp_step(flow.tcp, from_opener, packet.tcp_flags);
    if (step.action == TcpAction::reopen) return false;
    if (step.action == TcpAction::drop) {
      drop(verdict, DropReason::no_flow);
      return true;
    }
    flow.tcp = step.next;
    replied = step.next == TcpState::established;
  } else if (packet.protocol == rules::kProtocolIcmp || packet.protocol == rules::kProtocolIcmpv6) {
    // Requests of the opener and replies of the other side; a request of the other side opens anew.
    if (from_opener == packet.is_echo_reply) {
      if (!packet.is_echo_reply) return false;
      drop(verdict, DropReason::no_flow);
      return true;
    }
  }
  if (replied) flows_.mark_replied(&flow);
  FlowTable::touch(&flow, now_);
  pass(verdict, FlowKind::established, flow.rule);
  return true;
}

// `previous`: a flow with this key that gives way if the rules allow the new one.
void Pipeline::open_flow(Work& work, Flow* previous, Verdict& verdict) noexcept {
  const Packet& packet = work.packet;
  if (!may_open(packet)) return drop(verdict, DropReason::no_flow);
  const rules::PacketKey key = rules_key(packet, work.lb.policy);
  if (!snapshot_->table->allows(key)) return drop(verdict, DropReason::no_rule);
  if (previous != nullptr) flows_.erase(previous);
  Flow* flow = flows_.insert(packet.key, work.hash, now_, snapshot_->settings.timeouts);
  if (flow == nullptr) return drop(verdict, DropReason::flow_table_full);
  flow->opener = packet.direction;
  flow->generation = static_cast<std::uint32_t>(snapshot_->generation());
  flow->rule = snapshot_->table->rule_of(key).value_or(rules::RuleRef{});
  ++flows_opened_;
  pass(verdict, FlowKind::fresh, flow->rule);
}

// An error about a live flow passes and never refreshes it; others are judged as any ICMP.
void Pipeline::judge_icmp_error(Work& work, Verdict& verdict) noexcept {
  if (work.packet.has_embedded_key) {
    const Flow* flow = find_flow(work, verdict);
    if (!verdict.passes()) return;
    if (flow != nullptr) return pass(verdict, FlowKind::related, flow->rule);
  }
  const auto rule = snapshot_->table->rule_of(rules_key(work.packet, work.lb.policy));
  if (!rule) return drop(verdict, DropReason::icmp_unrelated);
  pass(verdict, FlowKind::none, *rule);
}

void Pipeline::report(Counts& counts) const noexcept {
  counts.flows_opened = flows_opened_;
  counts.flows_live = flows_.live();
  counts.flows_embryonic = flows_.embryonic();
  counts.flows_replaced = flows_.replaced();
  counts.fragments_held = fragments_.held();
  counts.datagrams_tracked = fragments_.tracked();
  counts.datagrams_replaced = fragments_.replaced();
}

}  // namespace sluice::dataplane
