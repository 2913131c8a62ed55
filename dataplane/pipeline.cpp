// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline.h"

#include <algorithm>
#include <array>

namespace sluice::dataplane {
namespace {

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

// The stages run over the burst one after the other: each fetches ahead what the next will read, so
// that misses of different packets overlap with work on others. Most packets are plain and pass by
// what plain_lane.h knows of them; the others, and those it is not sure of, go the whole way.
void Pipeline::judge(const Snapshot* snapshot, const Ingress& ingress,
                     std::span<const Frame> frames, TimeNs now,
                     std::span<Verdict> verdicts) noexcept {
  static_assert(kBurstMax <= FragmentTracker::kBurstMax);
  if (snapshot == nullptr) {
    for (Verdict& verdict : verdicts) verdict = {.reason = DropReason::no_table, .rule = {}};
    return;
  }
  snapshot_ = snapshot;
  is_strict_ = snapshot->settings.tracking == Tracking::strict;
  // While the headers come from memory, what needs none of them.
  for (const Frame& frame : frames) __builtin_prefetch(frame.bytes);
  fragments_.pass_time(now);
  stage_.begin(*snapshot, now, frames.empty());
  begin_plain(frames, ingress);
  if (others_ != 0) begin_others(frames, ingress);
  lane_.fetch_flows(plain_.tracked, flows_);
  // Packets of one burst may belong to one flow, so the rest goes in order, one by one.
  const std::uint64_t generation = snapshot->generation();
  for (std::size_t i = 0;; ++i) {
    i = is_strict_
            ? lane_.pass_from<Tracking::strict>(i, plain_, stage_, generation, verdicts)
            : lane_.pass_from<Tracking::rules_first>(i, plain_, stage_, generation, verdicts);
    if (i == frames.size()) return;
    if ((plain_.plain >> i) & 1u) leave_lane(i, frames[i]);
    verdicts[i] = {.lb = works_[i].lb.lb, .rule = {}, .generation = generation};
    judge_one(works_[i], verdicts[i]);
  }
}

// Which packets are plain. Those that the rules allow need no flow under rules_first.
void Pipeline::begin_plain(std::span<const Frame> frames, const Ingress& ingress) noexcept {
  const PacketMask plain = lane_.read(frames, ingress, *snapshot_->table);
  plain_ = {plain, is_strict_ ? plain : plain & ~lane_.allowed(plain, *snapshot_->table)};
  others_ = all_of(frames.size()) & ~plain;
  lane_.fetch_buckets(plain_.tracked, flows_);
}

// A plain packet that must go the whole way begins here.
void Pipeline::leave_lane(std::size_t i, const Frame& frame) noexcept {
  lane_.expand_into(i, frame, works_[i]);
  if (!is_strict_) works_[i].rules = Work::Rules::refused;
}

// The others, as far as the stages go for many at once.
void Pipeline::begin_others(std::span<const Frame> frames, const Ingress& ingress) noexcept {
  const Work* before = nullptr;
  for_each_of(others_, [&](std::size_t i) {
    works_[i].frame = &frames[i];
    parse_into(works_[i].packet, frames[i], ingress, snapshot_->settings);
    find_load_balancer(works_[i], before);
    before = &works_[i];
  });
  if (!is_strict_) {
    ask_rules(others_);
    excuse_from_flows();
  }
  for_each_of(others_, [this](std::size_t i) { find_flow(works_[i]); });
  if (is_strict_) ask_rules(others_);
}

// `before`: a packet of the same burst, which is often for the same LB.
void Pipeline::find_load_balancer(Work& work, const Work* before) noexcept {
  const Packet& packet = work.packet;
  work.lb = {};
  work.needs_flow = false;
  work.cell = FlowTable::kNoCell;
  work.host.reset();
  work.rules = Work::Rules::unasked;
  if (packet.kind == PacketKind::dropped || packet.kind == PacketKind::neighbour) return;
  const bool same = before != nullptr && has_lb(*before) && before->packet.local == packet.local &&
                    before->packet.zone == packet.zone;
  work.lb = same ? before->lb : snapshot_->table->find_lb(packet.zone, packet.local);
  if (!has_lb(work) || !has_flow_key(packet)) return;
  work.needs_flow = true;
  // Most of these will not be looked for.
  if (is_strict_ || !passes_by_rules_alone(packet)) fetch_bucket(work);
}

// rules_first: what the rules allow needs no flow; the others are fetched only now.
void Pipeline::excuse_from_flows() noexcept {
  for_each_of(others_, [this](std::size_t i) {
    Work& work = works_[i];
    if (!work.needs_flow || !passes_by_rules_alone(work.packet)) return;
    work.needs_flow = work.rules != Work::Rules::allowed;
    if (work.needs_flow) fetch_bucket(work);
  });
}

void Pipeline::fetch_bucket(Work& work) const noexcept {
  work.hash = flows_.hash(work.packet.key);
  flows_.prefetch_bucket(work.hash);
}

// Whether the bucket names a flow; its line is fetched.
void Pipeline::find_flow(Work& work) const noexcept {
  if (work.needs_flow) work.cell = flows_.prefetch_flow(work.hash);
}

// One batch for all packets of the set that the rules will be asked about: those that may open a
// flow and have none, under rules_first all.
void Pipeline::ask_rules(PacketMask set) noexcept {
  std::array<rules::PacketKey, kBurstMax> keys;
  PacketMask asking = 0;
  std::size_t count = 0;
  for_each_of(set, [&](std::size_t i) {
    Work& work = works_[i];
    if (!work.needs_flow || work.packet.kind != PacketKind::transport) return;
    const bool may_open_one = work.cell == FlowTable::kNoCell && may_open(work.packet);
    if (is_strict_ && !may_open_one) return;
    if (may_open_one) work.host = flows_.prefetch_host(work.packet.key);
    // Field by field, in place: a key copied whole just after it was written would stall.
    rules::PacketKey& key = keys[count++];
    key.remote.high = work.packet.key.remote_high;
    key.remote.low = work.packet.key.remote_low;
    key.remote.family = work.packet.key.family;
    key.policy = work.lb.policy;
    key.service = work.packet.service;
    key.protocol = work.packet.protocol;
    key.direction = work.packet.direction;
    asking |= PacketMask{1} << i;
  });
  if (count == 0) return;
  std::uint64_t allowed = snapshot_->table->allows_batch({keys.data(), count});
  for_each_of(asking, [&](std::size_t i) {
    Work& work = works_[i];
    work.rules = allowed & 1u ? Work::Rules::allowed : Work::Rules::refused;
    if (work.host && (allowed & 1u)) flows_.prefetch_queue(*work.host);
    allowed >>= 1;
  });
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
  const auto rule = snapshot_->table->find_rule(rules_key(work.packet, work.lb.policy));
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
