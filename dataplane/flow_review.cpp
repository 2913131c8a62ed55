// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow_review.h"

#include <algorithm>
#include <array>

#include "rules/model.h"
#include "rules/service_axis.h"

namespace sluice::dataplane {
namespace {

constexpr std::size_t kCellsAhead = 8;  // fetched by the sweep

bool is_of_one_lb(const FlowKey& a, const FlowKey& b) noexcept {
  return a.local_low == b.local_low && a.local_high == b.local_high && a.zone == b.zone &&
         a.family == b.family;
}

}  // namespace

rules::PacketKey opener_key(const FlowKey& key, rules::Direction opener,
                            rules::PolicyIndex policy) noexcept {
  const bool inbound = opener == rules::Direction::inbound;
  std::uint16_t service = inbound ? key.local_port : key.remote_port;
  if (key.protocol == rules::kProtocolIcmp) service = 8 << 8;
  if (key.protocol == rules::kProtocolIcmpv6) service = 128 << 8;
  return {{key.remote_high, key.remote_low, key.family},
          policy,
          rules::service_point(key.protocol, service).number,
          key.protocol,
          opener};
}

void FlowReview::set_snapshot(const Snapshot& snapshot) noexcept {
  snapshot_ = &snapshot;
  if (snapshot.generation() == counts_.generation) return;
  // An older one comes back where a newer one could not be brought into force everywhere.
  if (snapshot.generation() < counts_.generation) reviewed_ = 0;
  counts_ = {snapshot.generation(), 0, 0, 0, 0};
  generation_ = static_cast<std::uint32_t>(snapshot.generation());
  drain_until_s_ = flows_.now_s() + snapshot.flows.drain_s;
  sweep_at_ = 0;
  if (flows_.live() == 0 || snapshot.table->changed() <= reviewed_) complete();
}

void FlowReview::complete() noexcept {
  counts_.complete = 1;
  reviewed_ = counts_.generation;
}

void FlowReview::decide(Flow& flow, bool allowed) noexcept {
  flow.generation = generation_;
  if (allowed) {
    constexpr std::uint8_t kMarks = kFlowRefused | kFlowKept | kFlowDraining;
    flow.flags = static_cast<std::uint8_t>((flow.flags & ~kMarks) | kFlowRuleStale);
    return;
  }
  // Promised before: this change is not what the flow depends on.
  if (flow.flags & (kFlowKept | kFlowRefused | kFlowEnded)) return;
  switch (snapshot_->flows.fate) {
    case FlowFate::cut:
      flow.flags |= kFlowRefused;
      ++counts_.cut;
      return;
    case FlowFate::keep:
      flow.flags |= kFlowKept;
      ++counts_.kept;
      return;
    case FlowFate::drain:
      flow.flags |= kFlowKept | kFlowDraining;
      flow.drain_until_s = drain_until_s_;
      ++counts_.draining;
      return;
  }
}

void FlowReview::judge(Flow& flow, rules::PolicyIndex policy) noexcept {
  decide(flow, snapshot_->table->allows(opener_key(flows_.key_of(flow), opener_of(flow), policy)));
}

rules::RuleRef FlowReview::rule_of(Flow& flow, rules::PolicyIndex policy) noexcept {
  if (flow.flags & kFlowRuleStale) {
    flow.flags = static_cast<std::uint8_t>(flow.flags & ~kFlowRuleStale);
    if (const auto* rule =
            snapshot_->table->find_rule(opener_key(flows_.key_of(flow), opener_of(flow), policy)))
      flow.rule = *rule;
  }
  return flow.rule;
}

bool FlowReview::renew(Flow& flow, const rules::LbMatch& lb) noexcept {
  const bool is_new = !is_judged(flow, generation_, lb.since);
  if (!is_new && !(flow.flags & kFlowRuleStale)) return false;
  if (!is_new) {
    (void)rule_of(flow, lb.policy);
    return may_go_on(flow, lb);
  }
  // The rule is needed anyway, and that there is one is the answer.
  const auto* rule =
      snapshot_->table->find_rule(opener_key(flows_.key_of(flow), opener_of(flow), lb.policy));
  decide(flow, rule != nullptr);
  if (rule == nullptr) return false;
  flow.rule = *rule;
  flow.flags = static_cast<std::uint8_t>(flow.flags & ~kFlowRuleStale);
  return true;
}

// One batch of lookups out of the cells first .. last - 1; where it ended.
std::size_t FlowReview::judge_some(std::size_t first, std::size_t last) noexcept {
  std::array<rules::PacketKey, rules::kBatchMax> keys;
  std::array<Flow*, rules::kBatchMax> judged;
  std::size_t count = 0, cell = first;
  FlowKey before;  // neighbours are often of one LB
  rules::LbMatch lb;
  for (; cell < last && count < keys.size(); ++cell) {
    flows_.prefetch(static_cast<FlowIndex>(cell + kCellsAhead));
    Flow* flow = flows_.at(static_cast<FlowIndex>(cell));
    if (flow == nullptr || flow->generation == generation_) continue;
    const FlowKey key = flows_.key_of(*flow);
    if (!is_of_one_lb(key, before) || lb.lb == 0)
      lb = snapshot_->table->find_lb(key.zone, {key.local_high, key.local_low, key.family});
    before = key;
    if (lb.lb != 0 && is_judged(*flow, generation_, lb.since)) continue;
    if (lb.lb == 0) {
      decide(*flow, false);
      continue;
    }
    keys[count] = opener_key(key, opener_of(*flow), lb.policy);
    judged[count++] = flow;
  }
  const std::uint64_t allowed = snapshot_->table->allows_batch({keys.data(), count});
  for (std::size_t i = 0; i < count; ++i) decide(*judged[i], (allowed >> i) & 1u);
  return cell;
}

void FlowReview::sweep(std::size_t cells) noexcept {
  if (is_complete()) return;
  const std::size_t used = flows_.used();
  const std::size_t last = std::min(sweep_at_ + cells, used);
  while (sweep_at_ < last) sweep_at_ = judge_some(sweep_at_, last);
  if (sweep_at_ >= used) complete();
}

}  // namespace sluice::dataplane
