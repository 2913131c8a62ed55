// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dpdk/watchdog.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "dataplane/round_watch.h"

namespace sluice::dataplane::dpdk {
namespace {

std::uint64_t clock_ms() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

}  // namespace

Watchdog::Watchdog(const std::vector<std::unique_ptr<Worker>>& workers, std::uint32_t threshold_ms,
                   std::function<void(const WorkerAlarm&)> alarm)
    : workers_(workers),
      threshold_ms_(threshold_ms),
      alarm_(std::move(alarm)),
      silent_ms_(workers.size()),
      thread_([this] { run(); }) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Watchdog::run() {
  const std::uint32_t interval_ms = std::clamp(threshold_ms_ / 8, 5u, 250u);
  std::vector<RoundWatch> watches(workers_.size(), RoundWatch(threshold_ms_, interval_ms));
  std::vector<std::uint64_t> hung_ms(workers_.size(), 0);
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, std::chrono::milliseconds(interval_ms), [this] { return stop_; })) {
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      const Worker& worker = *workers_[i];
      const RoundChange change =
          watches[i].look(worker.rounds.load(std::memory_order_relaxed), clock_ms());
      silent_ms_[i].store(watches[i].silent_ms(), std::memory_order_relaxed);
      if (watches[i].is_hung()) hung_ms[i] = watches[i].silent_ms();
      if (change != RoundChange::none && alarm_)
        alarm_({worker.index, worker.lcore, hung_ms[i], change == RoundChange::hangs});
    }
  }
}

}  // namespace sluice::dataplane::dpdk
