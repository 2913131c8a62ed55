// SPDX-License-Identifier: Apache-2.0
//
// The life of a burst of packets, stage by stage: parse -> zone and LB -> fragment -> flow ->
// rules. The dpdk worker and the offline replay run this same code.
//
// Owner: one worker. No allocation, lock, log or system call.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/counters.h"
#include "dataplane/flow_stage.h"
#include "dataplane/flow_table.h"
#include "dataplane/packet.h"
#include "dataplane/snapshot.h"

namespace sluice::dataplane {

inline constexpr std::size_t kBurstMax = 32;
static_assert(kBurstMax <= rules::kBatchMax);

class Pipeline {
 public:
  explicit Pipeline(FlowTable& flows) noexcept : flows_(flows), stage_(flows) {}

  // Judges frames[i] that came in at ingress, at most kBurstMax, into verdicts[i]. Every packet of
  // the call is judged by `snapshot` alone. Null snapshot: all drop, no_table. An empty burst lets
  // time pass: flows expire, and a new table's review of the flows goes on.
  void judge(const Snapshot* snapshot, const Ingress& ingress, std::span<const Frame> frames,
             TimeNs now, std::span<Verdict> verdicts) noexcept;

  // The fates of live flows under the table of the last burst.
  [[nodiscard]] const FateCounts& fates() const noexcept { return stage_.fates(); }
  // Has every live flow been judged by the snapshot?
  [[nodiscard]] bool is_reviewed(const Snapshot& snapshot) const noexcept {
    return fates().generation == snapshot.generation() && fates().complete != 0;
  }
  // Brings the review of the flows to its end at once.
  void review_all() noexcept { stage_.review_all(); }

  // The gauges and counts of flows; the packets are counted by whoever sends them.
  void report(Counts& counts) const noexcept;

 private:
  void find_load_balancer(Work& work, const Work* before, bool strict) noexcept;
  void excuse_from_flows(std::span<Work> works) noexcept;
  void find_flow(Work& work) const noexcept;
  void ask_rules(std::span<Work> works, bool only_new) noexcept;
  void judge_one(Work& work, Verdict& verdict) noexcept;
  void judge_icmp(Work& work, Verdict& verdict) noexcept;

  FlowTable& flows_;
  FlowStage stage_;
  const Snapshot* snapshot_ = nullptr;  // of the burst at hand
  std::array<Work, kBurstMax> works_;   // the same; kept, as clearing it would cost each burst
};

}  // namespace sluice::dataplane
