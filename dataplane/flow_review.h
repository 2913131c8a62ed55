// SPDX-License-Identifier: Apache-2.0
//
// Live flows under a new table: each is judged again once, by the table in force, when its next
// packet comes or when the sweep comes by, whichever is first; so that the fates can be counted.
//
// The table knows since which generation nothing was taken from what it allows to an LB
// (LbMatch::narrowed), so a flow that was judged later than that is left alone: a change costs
// only the flows of the LBs that it takes something from. Of these, a flow whose own rule stands
// (rules/lost_rules.h) is not looked up: it goes on, under the same rule.
//
// A flow that the table still allows goes on, unmarked. One that it does not meets the fate that
// the change asked for: cut ends it with its next packet (a still newer table that allows it again
// saves it, if that packet comes after), keep and drain mark it, and the mark outlives later
// changes until a table allows the flow again: marked flows are judged again by every change of
// their LB.
//
// Owner: one worker. Cost: nothing while nothing changes, nor when something is added; after a
// change that takes something away a look at each flow, and a lookup for each that lost its rule.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/fate_counts.h"
#include "dataplane/flow_table.h"
#include "dataplane/snapshot.h"

namespace sluice::dataplane {

// The opener of a flow as the rules see it.
[[nodiscard]] rules::PacketKey opener_key(const FlowKey& key, rules::Direction opener,
                                          rules::PolicyIndex policy) noexcept;
[[nodiscard]] inline rules::Direction opener_of(const Flow& flow) noexcept {
  return flow.flags & kFlowOutbound ? rules::Direction::outbound : rules::Direction::inbound;
}

class FlowReview {
 public:
  explicit FlowReview(FlowTable& flows) noexcept : flows_(flows) {}

  // The table of all that follows, once a burst. Another one than before: a new review begins.
  // Flows that the review before did not reach are judged by the new table alone.
  void set_snapshot(const Snapshot& snapshot) noexcept;

  // May the flow of a packet go on? Judges it if the table in force, or one that took nothing more
  // from its LB, has not yet, and finds its rule again if that is lost.
  [[nodiscard]] bool may_go_on(Flow& flow, const rules::LbMatch& lb) noexcept {
    if (!is_judged(flow, lb) || (flow.flags & kFlowRuleStale)) renew(flow, lb);
    return !must_end(flow);
  }
  // Of the table in force, as flows keep it.
  [[nodiscard]] std::uint32_t generation() const noexcept { return generation_; }
  // A new flow is judged by the table in force.
  void stamp(Flow& flow) const noexcept { flow.generation = generation_; }

  // Judges flows in the next `cells` cells.
  void sweep(std::size_t cells) noexcept;
  [[nodiscard]] bool is_complete() const noexcept { return counts_.complete != 0; }
  [[nodiscard]] const FateCounts& counts() const noexcept { return counts_; }

 private:
  // Does what judged the flow still hold?
  [[nodiscard]] bool is_judged(const Flow& flow, const rules::LbMatch& lb) const noexcept {
    return rules::is_since(flow.generation, flow.flags & kFlowMarks ? lb.since : lb.narrowed,
                           generation_);
  }
  // By what a change made of it; of a judged flow.
  [[nodiscard]] bool must_end(const Flow& flow) const noexcept {
    return (flow.flags & kFlowRefused) ||
           ((flow.flags & kFlowDraining) && flows_.now_s() > flow.drain_until_s);
  }
  // Notes a flow as judged if its own rule stands.
  [[nodiscard]] bool confirm(Flow& flow, rules::PolicyIndex policy) noexcept {
    if (flow.flags & (kFlowMarks | kFlowRuleStale)) return false;
    if (policy != last_.policy || flow.rule.group != last_.group) [[unlikely]]
      last_ = {policy, flow.rule.group, snapshot_->table->lost_rules(policy, flow.rule.group)};
    if (last_.lost == nullptr || last_.lost->has(flow.rule.rule, flow.generation, generation_))
      return false;
    flow.generation = generation_;
    return true;
  }
  void renew(Flow& flow, const rules::LbMatch& lb) noexcept;
  void decide(Flow& flow, bool allowed) noexcept;
  std::size_t judge_some(std::size_t first, std::size_t last) noexcept;
  // Flows that only a lookup can tell about.
  struct Asked {
    Flow* flow;
    rules::PolicyIndex policy;
  };
  void ask(std::span<const Asked> asked) noexcept;
  void complete() noexcept;

  // One flow after another is often of the same group.
  struct GroupOfPolicy {
    rules::PolicyIndex policy = 0;
    rules::GroupId group = 0;                // 0: none
    const rules::LostRules* lost = nullptr;  // null: no longer of the policy
  };

  FlowTable& flows_;
  const Snapshot* snapshot_ = nullptr;  // of the burst at hand
  std::uint32_t generation_ = 0;
  std::uint64_t reviewed_ = 0;  // no flow but as a table of this generation or a later one judges
  std::uint32_t drain_until_s_ = 0;
  GroupOfPolicy last_;  // in the table in force
  std::size_t sweep_at_ = 0;
  bool may_have_marked_ = false;  // flows
  bool sweep_met_marked_ = false;
  FateCounts counts_;
};

}  // namespace sluice::dataplane
