// SPDX-License-Identifier: Apache-2.0
//
// A poll-mode worker: receives, judges, sends, counts; reports a quiescent state each round.
#pragma once

#include <rte_mbuf.h>
#include <rte_rcu_qsbr.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "dataplane/counters.h"
#include "dataplane/dpdk/handover.h"
#include "dataplane/dpdk/ports.h"
#include "dataplane/flow_owner.h"
#include "dataplane/flow_preview.h"
#include "dataplane/pipeline.h"

namespace sluice::dataplane::dpdk {

// What workers and the publisher share; written before the workers start unless it says otherwise.
struct Shared {
  std::vector<Port> ports;
  unsigned workers = 1;
  FlowOwner owner{1, HashSecret{}};
  Handover* handover = nullptr;   // each ring: one giver, one taker
  rte_rcu_qsbr* rcu = nullptr;    // workers: report; publisher: waits
  std::atomic<bool> stop{false};  // publisher: w, workers: r
};

class Worker {
 public:
  Worker(unsigned index, unsigned lcore, Shared& shared, FlowTable flows,
         FragmentTracker fragments);

  // Polls until Shared::stop. Runs on the worker's lcore.
  void run() noexcept;

  std::atomic<const Snapshot*> snapshot{nullptr};               // publisher: w, worker: r
  std::atomic<const PreviewRequest*> preview_request{nullptr};  // publisher: w, worker: r
  std::atomic<std::uint64_t> generation{0};                     // worker: w, others: r
  std::atomic<std::uint64_t> rounds{0};  // worker: rw, watchdog and publisher: r
  SharedCounts counts;                   // worker: w, others: r
  SharedValue<FateCounts> fates;         // worker: w, publisher: r
  SharedValue<FateCounts> preview;       // worker: w, publisher: r
  std::atomic<bool> ended{false};        // worker: w, its last act; destructor: r
  const unsigned index;
  const unsigned lcore;

 private:
  using Burst = std::array<rte_mbuf*, kBurstMax>;

  unsigned poll_ports() noexcept;
  unsigned poll_port(std::size_t port, std::uint16_t queue) noexcept;
  // Takes in what other workers handed over, and sends what they found to pass.
  unsigned poll_handover() noexcept;
  unsigned send_passed(unsigned from) noexcept;
  // Keeps the frames of own flows in `frames`, hands the others over; how many were kept.
  unsigned hand_over(std::size_t port, std::span<rte_mbuf*> frames) noexcept;
  void judge_and_send(std::size_t port, std::span<rte_mbuf*> frames) noexcept;
  // Sends or drops the fragments whose first has been judged, or did not come in time.
  void dispose_released() noexcept;
  // A slice of the question that the publisher has, if any.
  void answer_preview() noexcept;
  // Sends by, or hands to the worker that may use, that port.
  void leave(std::size_t port, std::span<rte_mbuf*> frames) noexcept;
  void transmit(std::size_t port, std::span<rte_mbuf*> frames) noexcept;
  void discard(rte_mbuf* frame, DropReason reason) noexcept;
  [[nodiscard]] TimeNs now() const noexcept;

  Shared& shared_;
  FlowTable flows_;
  FragmentTracker fragments_;
  Pipeline pipeline_;
  FlowPreview preview_;
  const Snapshot* current_ = nullptr;  // of this round
  Counts own_counts_;
  FateCounts own_fates_;
  std::uint64_t ns_per_cycle_fixed_;  // 32.32
};

}  // namespace sluice::dataplane::dpdk
