// SPDX-License-Identifier: Apache-2.0
//
// A thread that raises an alarm when a worker stops making rounds, once, and tells when it goes on.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "dataplane/dpdk/dpdk_dataplane.h"
#include "dataplane/dpdk/worker.h"

namespace sluice::dataplane::dpdk {

class Watchdog {
 public:
  // The workers outlive it. `alarm` is called on its thread.
  Watchdog(const std::vector<std::unique_ptr<Worker>>& workers, std::uint32_t threshold_ms,
           std::function<void(const WorkerAlarm&)> alarm);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // Milliseconds for which worker `index` has made no round, as of the last look; any thread.
  [[nodiscard]] std::uint64_t silent_ms(std::size_t index) const noexcept {
    return silent_ms_[index].load(std::memory_order_relaxed);
  }
  [[nodiscard]] bool is_hung(std::size_t index) const noexcept {
    return silent_ms(index) >= threshold_ms_;
  }

 private:
  void run();

  const std::vector<std::unique_ptr<Worker>>& workers_;
  const std::uint32_t threshold_ms_;
  std::function<void(const WorkerAlarm&)> alarm_;
  std::vector<std::atomic<std::uint64_t>> silent_ms_;  // its thread: w, any: r
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;  // under mutex_
  std::thread thread_;
};

}  // namespace sluice::dataplane::dpdk
