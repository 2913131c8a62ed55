// SPDX-License-Identifier: Apache-2.0
//
// Several workers as one gate: each a Replay with tables of its own, every frame judged by the
// worker that owns it, as the workers over DPDK hand frames to each other.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "dataplane/flow_owner.h"
#include "dataplane/offline/replay.h"

namespace sluice::tests {

class WorkerReplays {
 public:
  // By RSS: frames are spread as ports do it; else by the workers' own keyed hash.
  WorkerReplays(unsigned workers, bool by_rss, std::uint32_t flows_max)
      : owner_(by_rss ? dataplane::FlowOwner(workers, dataplane::SymmetricRss{})
                      : dataplane::FlowOwner(workers, dataplane::HashSecret{7, workers})),
        numbers_(workers) {
    for (unsigned i = 0; i < workers; ++i)
      workers_.push_back(std::make_unique<dataplane::offline::Replay>(flows_max));
    zones_.assign(dataplane::kVlans, dataplane::kNoZone);
    zones_[0] = 0;
  }

  void set_zone(std::uint16_t vlan, std::uint16_t zone) {
    zones_[vlan] = zone;
    for (const auto& worker : workers_) worker->set_zone(vlan, zone);
  }
  dataplane::FateCounts publish(const std::shared_ptr<const dataplane::Snapshot>& snapshot) {
    dataplane::FateCounts total;
    for (const auto& worker : workers_) {
      const dataplane::FateCounts own = worker->publish(snapshot);
      total.cut += own.cut;
      total.kept += own.kept;
      total.draining += own.draining;
    }
    return total;
  }

  [[nodiscard]] dataplane::Verdict judge(const dataplane::offline::Input& input) {
    // Frames of no flow may come in anywhere.
    const auto received_by = static_cast<unsigned>(judged_ % workers_.size());
    const unsigned index =
        owner_.of({input.bytes.data(), static_cast<std::uint32_t>(input.bytes.size())},
                  {input.side, zones_.data()}, received_by);
    numbers_[index].push_back(judged_++);
    // The others poll on without a packet.
    for (const auto& worker : workers_)
      if (worker != workers_[index]) worker->pass_time(input.time_ns);
    return workers_[index]->judge(input);
  }
  void pass_time(dataplane::TimeNs now) {
    for (const auto& worker : workers_) worker->pass_time(now);
  }
  void finish() {
    for (const auto& worker : workers_) worker->finish();
  }
  [[nodiscard]] std::vector<dataplane::offline::Released> take_released() {
    std::vector<dataplane::offline::Released> all;
    for (std::size_t i = 0; i < workers_.size(); ++i)
      for (auto& released : workers_[i]->take_released())
        all.push_back({numbers_[i].at(released.number), released.verdict});
    std::sort(all.begin(), all.end(),
              [](const auto& a, const auto& b) { return a.number < b.number; });
    return all;
  }
  [[nodiscard]] dataplane::Counts counts() const {
    dataplane::Counts total;
    for (const auto& worker : workers_) total += worker->counts();
    return total;
  }

 private:
  dataplane::FlowOwner owner_;
  std::vector<std::unique_ptr<dataplane::offline::Replay>> workers_;
  std::vector<std::vector<std::uint64_t>> numbers_;  // by worker: of the frames it judged
  std::vector<std::uint16_t> zones_;
  std::uint64_t judged_ = 0;
};

}  // namespace sluice::tests
