// SPDX-License-Identifier: Apache-2.0
//
// The life of a burst of packets, stage by stage: parse -> zone and LB -> fragment -> flow ->
// rules. The dpdk worker and the offline replay run this same code.
//
// Owner: one worker. No allocation, lock, log or system call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/counters.h"
#include "dataplane/flow_table.h"
#include "dataplane/fragments.h"
#include "dataplane/packet.h"
#include "dataplane/snapshot.h"

namespace sluice::dataplane {

inline constexpr std::size_t kBurstMax = 32;

class Pipeline {
 public:
  Pipeline(FlowTable& flows, FragmentTracker& fragments) noexcept
      : flows_(flows), fragments_(fragments) {}

  // Judges frames[i] that came in at ingress, at most kBurstMax, into verdicts[i]. Every packet of
  // the call is judged by `snapshot` alone. Null snapshot: all drop, no_table. A frame whose
  // verdict is_held is kept by the caller until next_released() names its ticket.
  void judge(const Snapshot* snapshot, const Ingress& ingress, std::span<const Frame> frames,
             TimeNs now, std::span<Verdict> verdicts) noexcept;

  // Frames held earlier whose verdict is now known, in order of arrival. False: no more. To be
  // called until then after each judge(): a frame is counted when it is disposed of.
  [[nodiscard]] bool next_released(ReleasedFrame& frame) noexcept {
    return fragments_.next_released(frame);
  }
  // Drops what is still held: at the end.
  void drop_held() noexcept { fragments_.drop_held(); }

  // The gauges and counts of flows; the packets are counted by whoever sends them.
  void report(Counts& counts) const noexcept;

 private:
  // What the stages hand on about one packet.
  struct Work {
    Packet packet;
    rules::LbMatch lb;
    std::uint64_t hash = 0;  // of packet.key, where it has one
    const Frame* frame = nullptr;
  };

  void judge_one(Work& work, Verdict& verdict) noexcept;
  void judge_by_kind(Work& work, Verdict& verdict) noexcept;
  // The fragment stage: fragment_stage.cpp.
  void judge_fragment(Work& work, Verdict& verdict) noexcept;
  void judge_first(Work& work, Datagram* datagram, Verdict& verdict) noexcept;
  void judge_later(const Work& work, Datagram& datagram, Verdict& verdict) noexcept;
  void note_dropped_first(const Packet& packet, const Verdict& verdict) noexcept;
  [[nodiscard]] bool is_still_allowed(const Work& work, const Datagram& datagram) noexcept;
  void judge_transport(Work& work, Verdict& verdict) noexcept;
  void judge_icmp_error(Work& work, Verdict& verdict) noexcept;
  void open_flow(Work& work, Flow* previous, Verdict& verdict) noexcept;
  [[nodiscard]] Flow* find_flow(Work& work, Verdict& verdict) noexcept;
  // False: the packet is no part of the flow as it stands, but may open a new one.
  [[nodiscard]] bool advance(Flow& flow, const Packet& packet, Verdict& verdict) noexcept;
  [[nodiscard]] bool is_still_allowed(Flow& flow, const Work& work) noexcept;

  FlowTable& flows_;
  FragmentTracker& fragments_;
  std::uint64_t flows_opened_ = 0;
  const Snapshot* snapshot_ = nullptr;  // of the burst at hand
  TimeNs now_ = 0;
};

}  // namespace sluice::dataplane
