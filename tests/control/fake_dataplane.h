// SPDX-License-Identifier: Apache-2.0
//
// A data plane without packets: remembers what was published, fails when told to.
#pragma once

#include <atomic>
#include <mutex>

#include "dataplane/dataplane.h"

namespace sluice::tests {

class FakeDataplane final : public dataplane::Dataplane {
 public:
  std::atomic<bool> hangs{false};           // publish does not come to its end
  std::atomic<bool> worker_is_hung{false};  // the watchdog says so

  [[nodiscard]] std::vector<std::string> zones() const override { return {"edge", "second"}; }
  [[nodiscard]] rules::Result<dataplane::SwapReport> publish(
      std::shared_ptr<const dataplane::Snapshot> snapshot) override {
    if (hangs) return rules::fail(rules::ErrorCode::unavailable, "worker 1 does not answer");
    const std::lock_guard lock(mutex_);
    current_ = std::move(snapshot);
    return dataplane::SwapReport{1000, fates_under(*current_)};
  }
  [[nodiscard]] dataplane::FateCounts preview(
      std::shared_ptr<const dataplane::Snapshot> snapshot) override {
    return fates_under(*snapshot);
  }
  [[nodiscard]] std::vector<dataplane::WorkerReport> workers() const override {
    return {{1, generation(), {}, worker_is_hung ? 1234u : 0u, worker_is_hung}};
  }
  [[nodiscard]] std::vector<dataplane::PortReport> ports() const override {
    return {{"fake0", "outside", 1, 2, 3}};
  }
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
