// SPDX-License-Identifier: Apache-2.0
//
// The life of a burst of packets, stage by stage: parse -> zone and LB -> fragment -> flow -> rules.
// The dpdk worker and the offline replay run this same code.
//
// Owner: one worker. No allocation, lock, log or system call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/counters.h"
#include "dataplane/flow_table.h"
#include "dataplane/packet.h"
#include "dataplane/snapshot.h"

namespace sluice::dataplane {

inline constexpr std::size_t kBurstMax = 32;

class Pipeline {
 public:
  explicit Pipeline(FlowTable& flows) noexcept;

  // Judges frames[i] that came in at ingress, at most kBurstMax, into verdicts[i]. Every packet of
  // the call is judged by `snapshot` alone. Null snapshot: all drop, no_table.
  void judge(const Snapshot* snapshot, const Ingress& ingress, std::span<const Frame> frames,
             TimeNs now, std::span<Verdict> verdicts) noexcept;
};

}  // namespace sluice::dataplane
