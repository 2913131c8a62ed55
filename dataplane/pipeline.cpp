// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline.h"

#include <algorithm>
#include <array>

namespace sluice::dataplane {
namespace {

// So many frames ahead of the parser headers are fetched; so many packets behind it the bucket has
// come that was fetched there.
constexpr std::size_t kFramesAhead = 16;
constexpr std::size_t kBucketsAhead = 8;

void drop(Verdict& verdict, DropReason reason) noexcept {
  verdict.reason = reason;
}
void pass(Verdict& verdict, FlowKind flow, rules::RuleRef rule) noexcept {
  verdict.flow = flow;
  verdict.rule = rule;
}

bool has_flow_key(const Packet& packet) noexcept {
  return packet.kind == PacketKind::transport || packet.has_embedded_key;
}
bool has_lb(const Work& work) noexcept {
  return work.lb.lb != 0;
}

}  // namespace

// The stages run over the burst one after the other or, where they do not depend on each other's
// answers, a few packets apart: each fetches ahead what the next will read, so that misses of
// different packets overlap with work on others.
void Pipeline::judge(const Snapshot* snapshot, const Ingress& ingress,
                     std::span<const Frame> frames, TimeNs now,
                     std::span<Verdict> verdicts) noexcept {
  static_assert(kBurstMax <= FragmentTracker::kBurstMax);
  if (snapshot == nullptr) {
    for (Verdict& verdict : verdicts) verdict = {.reason = DropReason::no_table, .rule = {}};
    return;
  }
  for (std::size_t i = 0; i < frames.size() && i < kFramesAhead; ++i)
    __builtin_prefetch(frames[i].bytes);
  snapshot_ = snapshot;
  fragments_.pass_time(now);
  stage_.begin(*snapshot, now);
  const std::span works(works_.data(), frames.size());
  const bool strict = snapshot->settings.tracking == Tracking::strict;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    if (i + kFramesAhead < frames.size()) __builtin_prefetch(frames[i + kFramesAhead].bytes);
    parse_into(works[i].packet, frames[i], ingress, snapshot->settings);
    works[i].frame = &frames[i];
    find_load_balancer(works[i], i == 0 ? nullptr : &works[i - 1], strict);
    if (strict && i >= kBucketsAhead) find_flow(works[i - kBucketsAhead]);
  }
  if (strict) {
    for (Work& work : works.last(std::min(works.size(), kBucketsAhead))) find_flow(work);
    ask_rules(works, true);
  } else {
    ask_rules(works, false);
    excuse_from_flows(works);
    for (Work& work : works) find_flow(work);
  }
  // Packets of one burst may belong to one flow, so the rest goes in order, one by one.
  for (std::size_t i = 0; i < frames.size(); ++i) {
    Verdict& verdict = verdicts[i];
    verdict.reason = DropReason::none;
    verdict.flow = FlowKind::none;
    verdict.lb = works[i].lb.lb;
    verdict.rule = {};
    verdict.generation = snapshot->generation();
    verdict.is_held = false;
    judge_one(works[i], verdict);
  }
  stage_.finish(frames.empty());
}

// `before`: the packet before it in the burst, which is often for the same LB.
void Pipeline::find_load_balancer(Work& work, const Work* before, bool strict) noexcept {
  const Packet& packet = work.packet;
  work.lb = {};
  work.needs_flow = false;
  work.cell = FlowTable::kNoCell;
  work.rules = Work::Rules::unasked;
  if (packet.kind == PacketKind::dropped || packet.kind == PacketKind::neighbour) return;
  const bool same = before != nullptr && has_lb(*before) && before->packet.local == packet.local &&
                    before->packet.zone == packet.zone;
  work.lb = same ? before->lb : snapshot_->table->find_lb(packet.zone, packet.local);
  if (!has_lb(work) || !has_flow_key(packet)) return;
  work.needs_flow = true;
  if (!strict && passes_by_rules_alone(packet)) return;  // most of these will not be looked for
  work.hash = flows_.hash(packet.key);
  flows_.prefetch_bucket(work.hash);
}

// rules_first: what the rules allow needs no flow; the others are fetched only now.
void Pipeline::excuse_from_flows(std::span<Work> works) noexcept {
  for (Work& work : works) {
    if (!work.needs_flow || !passes_by_rules_alone(work.packet)) continue;
    work.needs_flow = work.rules != Work::Rules::allowed;
    if (!work.needs_flow) continue;
    work.hash = flows_.hash(work.packet.key);
    flows_.prefetch_bucket(work.hash);
  }
}

// Whether the bucket names a flow; its line is fetched.
void Pipeline::find_flow(Work& work) const noexcept {
  if (work.needs_flow) work.cell = flows_.prefetch_flow(work.hash);
}

// One batch for all packets of the burst that the rules will be asked about: those that may open a
// flow and have none, under rules_first all.
void Pipeline::ask_rules(std::span<Work> works, bool only_new) noexcept {
  std::array<rules::PacketKey, kBurstMax> keys;
  std::array<Work*, kBurstMax> asking;
  std::size_t count = 0;
  for (Work& work : works) {
    if (!work.needs_flow || work.packet.kind != PacketKind::transport) continue;
    if (only_new && (work.cell != FlowTable::kNoCell || !may_open(work.packet))) continue;
    // Field by field, in place: a key copied whole just after it was written would stall.
    rules::PacketKey& key = keys[count];
    key.remote.high = work.packet.key.remote_high;
    key.remote.low = work.packet.key.remote_low;
    key.remote.family = work.packet.key.family;
    key.policy = work.lb.policy;
    key.service = work.packet.service;
    key.protocol = work.packet.protocol;
    key.direction = work.packet.direction;
    asking[count++] = &work;
  }
  if (count == 0) return;
  const std::uint64_t allowed = snapshot_->table->allows_batch({keys.data(), count});
  for (std::size_t i = 0; i < count; ++i)
    asking[i]->rules = (allowed >> i) & 1u ? Work::Rules::allowed : Work::Rules::refused;
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
      if (outbound && !has_lb(work)) drop(verdict, DropReason::spoofed);
      return;
    default:
      break;
  }
  if (!has_lb(work)) {
    if (snapshot_->settings.pass_unknown_addresses) return;
    return drop(verdict, outbound ? DropReason::spoofed : DropReason::no_load_balancer);
  }
  if (packet.kind == PacketKind::dhcp) return;
  return packet.fragment.is_one ? judge_fragment(work, verdict) : judge_by_kind(work, verdict);
}

// A whole packet, or the first fragment of one.
void Pipeline::judge_by_kind(Work& work, Verdict& verdict) noexcept {
  const Packet& packet = work.packet;
  switch (packet.kind) {
    case PacketKind::fragment:
      return drop(verdict, packet.reason);
    case PacketKind::icmp_error:
    case PacketKind::icmp_other:
      return judge_icmp(work, verdict);
    default:
      if (!work.needs_flow) return;  // rules_first: the rules' yes suffices
      return stage_.judge(work, verdict);
  }
}

// An error about a live flow passes and never refreshes it; all else is judged by the rules.
void Pipeline::judge_icmp(Work& work, Verdict& verdict) noexcept {
  const bool is_error = work.packet.kind == PacketKind::icmp_error;
  if (is_error && stage_.judge_embedded(work, verdict)) return;
  const auto rule = snapshot_->table->rule_of(rules_key(work.packet, work.lb.policy));
  if (!rule) return drop(verdict, is_error ? DropReason::icmp_unrelated : DropReason::no_rule);
  pass(verdict, FlowKind::none, *rule);
}

void Pipeline::report(Counts& counts) const noexcept {
  counts.flows_opened = stage_.opened();
  counts.flows_adopted = stage_.adopted();
  counts.flows_pressed = stage_.pressed();
  counts.flows_live = flows_.live();
  counts.flows_embryonic = flows_.embryonic();
  counts.flows_replaced = flows_.replaced();
  counts.fragments_held = fragments_.held();
  counts.datagrams_tracked = fragments_.tracked();
  counts.datagrams_replaced = fragments_.replaced();
  counts.flows_replaced_by_share = flows_.replaced_by_share();
  counts.cells_free = flows_.cells_free();
  counts.cells_max = flows_.cells_max();
}

}  // namespace sluice::dataplane
