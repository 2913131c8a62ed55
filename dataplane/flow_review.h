// SPDX-License-Identifier: Apache-2.0
//
// Live flows under a new table: each is judged again once, by the table in force, when its next
// packet comes or when the sweep comes by, whichever is first; so that the fates can be counted.
//
// The table knows since which generation it judges an LB as it does now (LbMatch::since), so a flow
// that was judged later than that is left alone: a change costs the flows of the LBs it touches.
//
// A flow that the table still allows goes on, unmarked. One that it does not meets the fate that
// the change asked for: cut ends it with its next packet (a still newer table that allows it again
// saves it, if that packet comes after), keep and drain mark it, and the mark outlives later
// changes until a table allows the flow again.
//
// Owner: one worker. Cost: nothing while nothing changes; after a change a lookup for each flow of
// the LBs it touches, and a look at the others.
#pragma once

#include <cstddef>
#include <cstdint>

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

  // May the flow go on? Judges it if the table in force, or one that came to the same, has not yet.
  [[nodiscard]] bool may_go_on(Flow& flow, const rules::LbMatch& lb) noexcept {
    if (!is_judged(flow, generation_, lb.since)) judge(flow, lb.policy);
    if (!(flow.flags & (kFlowRefused | kFlowDraining))) return true;
    return !(flow.flags & kFlowRefused) && flows_.now_s() <= flow.drain_until_s;
  }
  // Does what judged the flow still hold? `since`: of its LB. All are low halves.
  [[nodiscard]] static bool is_judged(const Flow& flow, std::uint32_t generation,
                                      std::uint32_t since) noexcept {
    return generation - flow.generation <= generation - since;
  }
  // Of the table in force, as flows keep it.
  [[nodiscard]] std::uint32_t generation() const noexcept { return generation_; }
  // The rule that allows the flow's opener, looked up again where a newer table came.
  [[nodiscard]] rules::RuleRef rule_of(Flow& flow, rules::PolicyIndex policy) noexcept;
  // Judges a live flow that the table in force has not, and finds its rule again. False: nothing
  // was to be done, or it may not go on.
  [[nodiscard]] bool renew(Flow& flow, const rules::LbMatch& lb) noexcept;
  // A new flow is judged by the table in force.
  void stamp(Flow& flow) const noexcept { flow.generation = generation_; }

  // Judges flows in the next `cells` cells.
  void sweep(std::size_t cells) noexcept;
  [[nodiscard]] bool is_complete() const noexcept { return counts_.complete != 0; }
  [[nodiscard]] const FateCounts& counts() const noexcept { return counts_; }

 private:
  void judge(Flow& flow, rules::PolicyIndex policy) noexcept;
  void decide(Flow& flow, bool allowed) noexcept;
  std::size_t judge_some(std::size_t first, std::size_t last) noexcept;
  void complete() noexcept;

  FlowTable& flows_;
  const Snapshot* snapshot_ = nullptr;  // of the burst at hand
  std::uint32_t generation_ = 0;
  std::uint64_t reviewed_ = 0;  // no flow but as a table of this generation or a later one judges
  std::uint32_t drain_until_s_ = 0;
  std::size_t sweep_at_ = 0;
  FateCounts counts_;
};

}  // namespace sluice::dataplane
