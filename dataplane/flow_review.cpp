// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow_review.h"

#include <algorithm>
#include <array>

#include "rules/model.h"
#include "rules/service_axis.h"

namespace sluice::dataplane {
namespace {

constexpr std::size_t kCellsAhead = 64;  // fetched by the sweep: what it meets with the next burst

// The LB of one flow after another; neighbours are often of the same.
class LbOfFlow {
 public:
  explicit LbOfFlow(const rules::Table& table) noexcept : table_(table) {}

  const rules::LbMatch& find(const Flow& flow, const FlowTable& flows) noexcept {
    const Ipv4FlowWords words{flow.addresses, flow.identity};
    const bool is_ipv4 = FlowKey::family_of(flow.identity) == rules::Family::ipv4;
    if (is_ipv4 && words.place() == place_) return lb_;
    const FlowKey key = flows.key_of(flow);
    const rules::Address local{key.local_high, key.local_low, key.family};
    if (words.zone() != zone_ || local != local_) {
      zone_ = words.zone(), local_ = local;
      place_ = is_ipv4 ? words.place() : kNoPlace;
      lb_ = table_.find_lb(zone_, local);
    }
    return lb_;
  }

 private:
  static constexpr std::uint64_t kNoPlace = ~std::uint64_t{0};

  const rules::Table& table_;
  std::uint64_t place_ = kNoPlace;  // the same in one word, if it is IPv4
  std::uint16_t zone_ = 0;
  rules::Address local_;  // 0.0.0.0 is no LB's
  rules::LbMatch lb_;
};

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
  if (snapshot_ != &snapshot) last_ = {};
  snapshot_ = &snapshot;
  if (snapshot.generation() == counts_.generation) return;
  // An older one comes back where a newer one could not be brought into force everywhere.
  if (snapshot.generation() < counts_.generation) reviewed_ = 0;
  counts_ = {snapshot.generation(), 0, 0, 0, 0};
  generation_ = static_cast<std::uint32_t>(snapshot.generation());
  drain_until_s_ = flows_.now_s() + snapshot.flows.drain_s;
  sweep_at_ = 0;
  sweep_met_marked_ = false;
  const rules::Table& table = *snapshot.table;
  const std::uint64_t since = may_have_marked_ ? table.changed() : table.narrowed();
  if (flows_.live() == 0 || since <= reviewed_) complete();
}

void FlowReview::complete() noexcept {
  counts_.complete = 1;
  reviewed_ = counts_.generation;
}

void FlowReview::decide(Flow& flow, bool allowed) noexcept {
  flow.generation = generation_;
  if (allowed) {
    flow.flags = static_cast<std::uint8_t>((flow.flags & ~kFlowMarks) | kFlowRuleStale);
    return;
  }
  may_have_marked_ = sweep_met_marked_ = true;
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

void FlowReview::renew(Flow& flow, const rules::LbMatch& lb) noexcept {
  const bool is_new = !is_judged(flow, lb);
  if (is_new && confirm(flow, lb.policy)) return;
  // The rule is needed anyway, and that there is one is the answer.
  const auto* rule =
      snapshot_->table->find_rule(opener_key(flows_.key_of(flow), opener_of(flow), lb.policy));
  if (is_new) decide(flow, rule != nullptr);
  flow.flags = static_cast<std::uint8_t>(flow.flags & ~kFlowRuleStale);
  if (rule != nullptr) flow.rule = *rule;
}

// One batch of lookups out of the cells first .. last - 1; where it ended.
std::size_t FlowReview::judge_some(std::size_t first, std::size_t last) noexcept {
  std::array<Asked, rules::kBatchMax> asked;
  std::size_t count = 0, cell = first;
  LbOfFlow lb_of(*snapshot_->table);
  for (; cell < last && count < asked.size(); ++cell) {
    flows_.prefetch(static_cast<FlowIndex>(cell + kCellsAhead));
    Flow* flow = flows_.stored_at(static_cast<FlowIndex>(cell));
    if (flow == nullptr) continue;
    sweep_met_marked_ |= (flow->flags & kFlowMarks) != 0;
    if (flow->generation == generation_) continue;
    const rules::LbMatch& lb = lb_of.find(*flow, flows_);
    if (lb.lb != 0 && (is_judged(*flow, lb) || confirm(*flow, lb.policy))) continue;
    if (flows_.is_over(*flow)) continue;
    if (lb.lb == 0) {
      decide(*flow, false);
    } else {
      asked[count++] = {flow, lb.policy};
    }
  }
  ask({asked.data(), count});
  return cell;
}

void FlowReview::ask(std::span<const Asked> asked) noexcept {
  if (asked.empty()) return;
  std::array<rules::PacketKey, rules::kBatchMax> keys;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const Flow& flow = *asked[i].flow;
    keys[i] = opener_key(flows_.key_of(flow), opener_of(flow), asked[i].policy);
  }
  const std::uint64_t allowed = snapshot_->table->allows_batch({keys.data(), asked.size()});
  for (std::size_t i = 0; i < asked.size(); ++i) decide(*asked[i].flow, (allowed >> i) & 1u);
}

void FlowReview::sweep(std::size_t cells) noexcept {
  if (is_complete()) return;
  const std::size_t used = flows_.used();
  const std::size_t last = std::min(sweep_at_ + cells, used);
  while (sweep_at_ < last) sweep_at_ = judge_some(sweep_at_, last);
  if (sweep_at_ < used) return;
  may_have_marked_ = sweep_met_marked_;
  complete();
}

}  // namespace sluice::dataplane
