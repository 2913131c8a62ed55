// SPDX-License-Identifier: Apache-2.0
//
// The door: all that control may ask of a data plane. Called at control rate, never per packet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/asker.h"
#include "dataplane/capture.h"
#include "dataplane/counters.h"
#include "dataplane/fate_counts.h"
#include "dataplane/snapshot.h"
#include "rules/result.h"

namespace sluice::dataplane {

struct SwapReport {
  std::uint64_t swap_ns = 0;  // from the store of the pointers to the end of the grace period
  FateCounts flows{};         // of all workers; not `complete`: the counting was still under way
};

struct WorkerReport {
  unsigned lcore = 0;
  std::uint64_t generation = 0;  // of the table it runs; 0 before the first
  Counts counts;
  std::uint64_t silent_ms = 0;           // for so long it has polled no port
  bool is_hung = false;                  // longer than the watchdog allows
  std::uint64_t drops_not_recorded = 0;  // dropped, and left out of take_drops()
};

// One port of a zone, as its driver counts.
struct PortReport {
  std::string device;  // as configured
  std::string side;    // "outside" or "inside"
  std::uint64_t rx_packets = 0;
  std::uint64_t tx_packets = 0;
  std::uint64_t rx_missed = 0;  // lost before a worker saw them: no buffer, ring full
};

class Dataplane {
 public:
  virtual ~Dataplane() = default;

  // Zone names in the order of the zone indexes that the table must be compiled with.
  [[nodiscard]] virtual std::vector<std::string> zones() const = 0;

  // Puts the snapshot in force on every worker and returns when no worker uses the one before, and
  // every live flow was judged again (or a few seconds have gone by with that).
  // Owner: one thread, the publisher. Errors: unavailable (a worker does not answer: `message`
  // names it; the new snapshot is in force on those that do, and stays referenced).
  [[nodiscard]] virtual rules::Result<SwapReport> publish(
      std::shared_ptr<const Snapshot> snapshot) = 0;

  // How many live flows the snapshot would cut, keep or drain if it were published now; changes
  // nothing. Not `complete`: a worker did not come to the end of its flows in time.
  // Owner: the publisher.
  [[nodiscard]] virtual FateCounts preview(std::shared_ptr<const Snapshot> snapshot) = 0;

  [[nodiscard]] virtual std::vector<WorkerReport> workers() const = 0;  // any thread
  [[nodiscard]] virtual std::vector<PortReport> ports() const = 0;      // any thread

  // Questions to the workers; any thread, one at a time; each may wait for a worker's next rounds.
  [[nodiscard]] virtual FlowPage flows(const FlowFilter& filter, FlowCursor from,
                                       std::size_t limit) = 0;
  [[nodiscard]] virtual std::optional<FlowReport> flow(const FlowKey& key) = 0;
  [[nodiscard]] virtual TrafficReport traffic() = 0;
  // Counts of all other LBs and rules go to the sum of others. Ids sorted.
  virtual void forget_counts_but_of(std::vector<rules::LbId> lbs,
                                    std::vector<rules::RuleId> rules) = 0;

  // Samples of drops since the last call, at most `max`, by worker in order of time. One thread.
  [[nodiscard]] virtual std::vector<DropRecord> take_drops(std::size_t max) = 0;
};

}  // namespace sluice::dataplane
