// SPDX-License-Identifier: Apache-2.0
//
// A data plane without packets: remembers what was published, fails when told to.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <mutex>

#include "dataplane/dataplane.h"

namespace sluice::tests {

class FakeDataplane final : public dataplane::Dataplane {
 public:
  std::atomic<bool> hangs{false};           // publish does not come to its end
  std::atomic<bool> throws{false};          // publish finds no memory
  std::atomic<bool> worker_is_hung{false};  // the watchdog says so

  [[nodiscard]] std::vector<std::string> zones() const override { return {"edge", "second"}; }
  [[nodiscard]] rules::Result<dataplane::SwapReport> publish(
      std::shared_ptr<const dataplane::Snapshot> snapshot) override {
    if (hangs) return rules::fail(rules::ErrorCode::unavailable, "worker 1 does not answer");
    if (throws) throw std::bad_alloc();
    const std::lock_guard lock(mutex_);
    current_ = std::move(snapshot);
    return dataplane::SwapReport{1000, fates_under(*current_)};
  }
  [[nodiscard]] dataplane::FateCounts preview(
      std::shared_ptr<const dataplane::Snapshot> snapshot) override {
    return fates_under(*snapshot);
  }
  [[nodiscard]] std::vector<dataplane::WorkerReport> workers() const override {
    return {{1, generation(), counts, worker_is_hung ? 1234u : 0u, worker_is_hung, 0}};
  }
  [[nodiscard]] std::vector<dataplane::PortReport> ports() const override {
    return {{"fake0", "outside", 1, 2, 3}};
  }
  [[nodiscard]] dataplane::FlowPage flows(const dataplane::FlowFilter& filter,
                                          dataplane::FlowCursor from, std::size_t limit) override {
    const std::lock_guard lock(mutex_);
    asked_filter = filter;
    asked_cursor = from;
    asked_limit = limit;
    return flow_page;
  }
  [[nodiscard]] std::optional<dataplane::FlowReport> flow(const dataplane::FlowKey& key) override {
    const std::lock_guard lock(mutex_);
    for (const auto& report : flow_page.flows)
      if (report.key == key) return report;
    return std::nullopt;
  }
  [[nodiscard]] dataplane::TrafficReport traffic() override {
    const std::lock_guard lock(mutex_);
    return traffic_report;
  }
  void forget_counts_but_of(std::vector<rules::LbId> lbs,
                            std::vector<rules::RuleId> rules) override {
    const std::lock_guard lock(mutex_);
    kept_lbs = std::move(lbs);
    kept_rules = std::move(rules);
  }
  [[nodiscard]] std::vector<dataplane::DropRecord> take_drops(std::size_t max) override {
    const std::lock_guard lock(mutex_);
    std::vector<dataplane::DropRecord> taken(
        drops.begin(), drops.begin() + static_cast<std::ptrdiff_t>(std::min(max, drops.size())));
    drops.erase(drops.begin(), drops.begin() + static_cast<std::ptrdiff_t>(taken.size()));
    return taken;
  }
  // What the workers would say; locked, as others ask meanwhile.
  void with(const std::function<void(FakeDataplane&)>& change) {
    const std::lock_guard lock(mutex_);
    change(*this);
  }
  dataplane::Counts counts;  // of the worker; set before anybody asks
  dataplane::FlowPage flow_page;
  dataplane::FlowFilter asked_filter;
  dataplane::FlowCursor asked_cursor;
  std::size_t asked_limit = 0;
  dataplane::TrafficReport traffic_report;
  std::vector<rules::LbId> kept_lbs;
  std::vector<rules::RuleId> kept_rules;
  std::vector<dataplane::DropRecord> drops;

  [[nodiscard]] std::uint64_t generation() const {
    const std::lock_guard lock(mutex_);
    return current_ ? current_->generation() : 0;
  }
  [[nodiscard]] std::shared_ptr<const dataplane::Snapshot> current() const {
    const std::lock_guard lock(mutex_);
    return current_;
  }

 private:
  // Seven live flows fall under whatever fate the change asks for.
  static dataplane::FateCounts fates_under(const dataplane::Snapshot& snapshot) {
    dataplane::FateCounts fates{snapshot.generation(), 0, 0, 0, 1};
    switch (snapshot.flows.fate) {
      case dataplane::FlowFate::cut:
        fates.cut = 7;
        break;
      case dataplane::FlowFate::keep:
        fates.kept = 7;
        break;
      case dataplane::FlowFate::drain:
        fates.draining = 7;
    }
    return fates;
  }

  mutable std::mutex mutex_;
  std::shared_ptr<const dataplane::Snapshot> current_;
};

}  // namespace sluice::tests
