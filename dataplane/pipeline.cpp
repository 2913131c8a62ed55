// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline.h"

#include <array>

namespace sluice::dataplane {
namespace {

// Headers of so many frames ahead are on their way to the cache while one is parsed.
constexpr std::size_t kParseAhead = 8;

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

// The stages run over the whole burst one after the other, each fetching ahead what the next will
// read, so that misses of different packets overlap.
void Pipeline::judge(const Snapshot* snapshot, const Ingress& ingress,
                     std::span<const Frame> frames, TimeNs now,
                     std::span<Verdict> verdicts) noexcept {
  static_assert(kBurstMax <= FragmentTracker::kBurstMax);
  if (snapshot == nullptr) {
    for (Verdict& verdict : verdicts) verdict = {.reason = DropReason::no_table, .rule = {}};
    return;
  }
  snapshot_ = snapshot;
  fragments_.pass_time(now);
  stage_.begin(*snapshot, now);
  const std::span works(works_.data(), frames.size());
  for (std::size_t i = 0; i < frames.size() && i < kParseAhead; ++i)
    __builtin_prefetch(frames[i].bytes);
  for (std::size_t i = 0; i < frames.size(); ++i) {
    if (i + kParseAhead < frames.size()) __builtin_prefetch(frames[i + kParseAhead].bytes);
    parse_into(works[i].packet, frames[i], ingress, snapshot->settings);
    works[i].frame = &frames[i];
  }
  find_load_balancers(works);
  if (snapshot->settings.tracking == Tracking::strict) {
    find_flows(works);
    ask_rules(works, true);
  } else {
    ask_rules(works, false);
    find_flows(works);
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

void Pipeline::find_load_balancers(std::span<Work> works) noexcept {
  const bool strict = snapshot_->settings.tracking == Tracking::strict;
  for (Work& work : works) {
    const Packet& packet = work.packet;
    work.lb = {};
    work.needs_flow = false;
    work.is_new = true;
    work.rules = Work::Rules::unasked;
    if (packet.kind == PacketKind::dropped || packet.kind == PacketKind::neighbour) continue;
    work.lb = snapshot_->table->find_lb(packet.zone, packet.local);
    if (!has_lb(work) || !has_flow_key(packet)) continue;
    work.needs_flow = true;
    if (!strict && passes_by_rules_alone(packet)) continue;  // most of these will not be looked for
    work.hash = flows_.hash(packet.key);
    flows_.prefetch_bucket(work.hash);
  }
}

// Whether the bucket names a flow; its line is fetched.
void Pipeline::find_flows(std::span<Work> works) noexcept {
  const bool strict = snapshot_->settings.tracking == Tracking::strict;
  for (Work& work : works) {
    if (!work.needs_flow) continue;
    if (!strict && passes_by_rules_alone(work.packet)) {
      work.needs_flow = work.rules != Work::Rules::allowed;
      if (!work.needs_flow) continue;
      work.hash = flows_.hash(work.packet.key);
    }
    work.is_new = !flows_.prefetch_flow(work.hash);
  }
}

// One batch for all packets of the burst that the rules will be asked about: those that may open a
// flow and have none, under rules_first all.
void Pipeline::ask_rules(std::span<Work> works, bool only_new) noexcept {
  std::array<rules::PacketKey, kBurstMax> keys;
  std::array<Work*, kBurstMax> asking;
  std::size_t count = 0;
  for (Work& work : works) {
    if (!work.needs_flow || work.packet.kind != PacketKind::transport) continue;
    if (only_new && !(work.is_new && may_open(work.packet))) continue;
    keys[count] = rules_key(work.packet, work.lb.policy);
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
