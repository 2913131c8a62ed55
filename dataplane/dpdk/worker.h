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

#include "dataplane/capture.h"
#include "dataplane/counters.h"
#include "dataplane/dpdk/handover.h"
#include "dataplane/dpdk/ports.h"
#include "dataplane/flow_owner.h"
#include "dataplane/flow_preview.h"
#include "dataplane/inquiry.h"
#include "dataplane/pipeline.h"
#include "dataplane/tally.h"

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

// The clock of all workers, since the machine started.
[[nodiscard]] TimeNs worker_clock_ns() noexcept;

class Worker {
 public:
  // What a worker owns, allocated near it.
  struct Tables {
    FlowTable flows;
    FragmentTracker fragments;
    Tally tally;
  };
  Worker(unsigned index, unsigned lcore, Shared& shared, Tables tables,
         std::uint32_t drop_records_per_s);

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
  Inquiry inquiry;                       // by turns: the asker, the worker
  DropCapture capture;                   // worker: w; who takes the records: r
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
  // A frame that came in at `port`, for an LB (0: of none).
  void discard(std::size_t port, rte_mbuf* frame, DropReason reason, rules::LbId lb) noexcept;
  [[nodiscard]] TimeNs now() const noexcept;

  Shared& shared_;
  FlowTable flows_;
  FragmentTracker fragments_;
  Tally tally_;
  Pipeline pipeline_;
  FlowPreview preview_;
  const Snapshot* current_ = nullptr;  // of this round
  FateCounts own_fates_;
  TimeNs now_ns_ = 0;                 // of the last burst
  std::uint64_t ns_per_cycle_fixed_;  // 32.32
};

}  // namespace sluice::dataplane::dpdk
