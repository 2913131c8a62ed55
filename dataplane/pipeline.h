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
#include "dataplane/fragments.h"
#include "dataplane/packet.h"
#include "dataplane/plain_lane.h"
#include "dataplane/snapshot.h"

namespace sluice::dataplane {

inline constexpr std::size_t kBurstMax = PlainLane::kPacketsMax;
static_assert(kBurstMax <= rules::kBatchMax);

class Pipeline {
 public:
  Pipeline(FlowTable& flows, FragmentTracker& fragments) noexcept
      : flows_(flows), fragments_(fragments), stage_(flows) {}

  // Judges frames[i] that came in at ingress, at most kBurstMax, into verdicts[i]. Every packet of
  // the call is judged by `snapshot` alone. Null snapshot: all drop, no_table. An empty burst lets
  // time pass: flows expire, and a new table's review of the flows goes on. A frame whose verdict
  // is_held is kept by the caller until next_released() names its ticket.
  void judge(const Snapshot* snapshot, const Ingress& ingress, std::span<const Frame> frames,
             TimeNs now, std::span<Verdict> verdicts) noexcept;

  // Frames held earlier whose verdict is now known, in order of arrival. False: no more. To be
  // called until then after each judge(): a frame is counted when it is disposed of.
  [[nodiscard]] bool next_released(ReleasedFrame& frame) noexcept {
    return fragments_.next_released(frame);
  }
  // Drops what is still held: at the end.
  void drop_held() noexcept { fragments_.drop_held(); }

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
  void begin_plain(std::span<const Frame> frames, const Ingress& ingress) noexcept;
  void begin_others(std::span<const Frame> frames, const Ingress& ingress) noexcept;
  void find_load_balancer(Work& work, const Work* before) noexcept;
  void excuse_from_flows() noexcept;
  void fetch_bucket(Work& work) const noexcept;
  void find_flow(Work& work) const noexcept;
  void ask_rules(PacketMask set) noexcept;
  void leave_lane(std::size_t i, const Frame& frame) noexcept;
  void judge_one(Work& work, Verdict& verdict) noexcept;
  void judge_by_kind(Work& work, Verdict& verdict) noexcept;
  void judge_icmp(Work& work, Verdict& verdict) noexcept;
  // The fragment stage: fragment_stage.cpp.
  void judge_fragment(Work& work, Verdict& verdict) noexcept;
  void judge_first(Work& work, Datagram* datagram, Verdict& verdict) noexcept;
  void judge_later(const Work& work, Datagram& datagram, Verdict& verdict) noexcept;
  void note_end(const Datagram& datagram, const Packet& packet) noexcept;
  void note_dropped_first(const Packet& packet, const Verdict& verdict) noexcept;
  [[nodiscard]] bool is_still_allowed(const Work& work, const Datagram& datagram) noexcept;

  FlowTable& flows_;
  FragmentTracker& fragments_;
  FlowStage stage_;
  PlainLane lane_;
  // Of the burst at hand. Works are kept, as clearing them would cost each burst; those of plain
  // packets are from earlier.
  const Snapshot* snapshot_ = nullptr;
  bool is_strict_ = true;
  PlainSets plain_;
  PacketMask others_ = 0;  // the rest, whole parser first
  std::array<Work, kBurstMax> works_;
};

}  // namespace sluice::dataplane
