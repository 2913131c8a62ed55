// SPDX-License-Identifier: Apache-2.0
//
// The one thread that changes what is enforced: validate, compile, store, publish, in this order.
//
// Limits: kChangesWaiting changes wait; beyond them a change is refused (unavailable).
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "control/service.h"
#include "control/store.h"
#include "dataplane/dataplane.h"
#include "rules/compile.h"

namespace sluice::control {

inline constexpr std::size_t kChangesWaiting = 1024;

// An acknowledged change: every worker enforces it.
struct Applied {
  rules::Json answer;
  std::string_view kind = "change";  // or "start": what the node began with
  std::uint64_t generation = 0;
  std::uint64_t compile_us = 0;
  std::uint64_t store_us = 0;
  std::uint64_t swap_us = 0;
  dataplane::FateCounts flows;  // live flows that the change no longer allows
};

// The table in force, and what it took to put it there.
struct TableReport {
  std::shared_ptr<const rules::Table> table;  // null before the first
  std::uint64_t compile_us = 0;
  std::uint64_t swap_us = 0;
};

class Publisher {
 public:
  using Change = std::function<rules::Result<Outcome>(const State&)>;
  using Done = std::function<void(rules::Result<Applied>)>;
  using Observer = std::function<void(const Applied&)>;

  Publisher(Store& store, dataplane::Dataplane& dataplane, dataplane::Settings settings);
  ~Publisher();

  // Tells of each table when it is in force, on the publisher's thread; must not block. Before
  // start(), which tells of the first.
  void observe(Observer observer) { observer_ = std::move(observer); }

  // Puts the stored state, or the first one, in force, with the system rules, and starts the
  // thread.
  [[nodiscard]] rules::Result<void> start(
      std::shared_ptr<const rules::SystemRules> system_rules = nullptr);

  // Ends after the change at hand; those that wait, and come later, are refused.
  void stop();

  // Queues a change; `done` is called once, on the publisher's thread (or here, if refused at
  // once).
  void submit(Change change, Done done);

  [[nodiscard]] StatePtr state() const { return state_.load(); }  // any thread
  [[nodiscard]] TableReport table() const;                        // any thread
  // What became of the configured files last time they were read; null: never. Any thread.
  [[nodiscard]] rules::Json last_reload() const;
  void note_reload(rules::Json report);
  [[nodiscard]] dataplane::Dataplane& dataplane() const { return dataplane_; }
  [[nodiscard]] const std::vector<std::string>& zones() const { return zones_; }

 private:
  struct Job {
    Change change;
    Done done;
  };
  void run();
  [[nodiscard]] rules::Result<Applied> apply(const Change& change);
  [[nodiscard]] rules::Result<Applied> answer_only(const State& before, Outcome outcome);
  [[nodiscard]] rules::Result<Applied> enforce(StatePtr before, StatePtr after, bool store,
                                               dataplane::FlowsOnChange flows);
  void tell(const Applied& applied) const;
  void roll_back(const State& before, const State& after);

  Store& store_;                     // publisher thread only, once it runs
  dataplane::Dataplane& dataplane_;  // publish: publisher thread only
  const dataplane::Settings settings_;
  const std::vector<std::string> zones_;
  Observer observer_;                                    // publisher thread only, once it runs
  rules::Compiler compiler_;                             // publisher thread only
  std::shared_ptr<const dataplane::Snapshot> in_force_;  // publisher thread only
  std::atomic<StatePtr> state_;                          // publisher: w, others: r

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  TableReport table_;
  rules::Json last_reload_;
  std::thread thread_;
};

}  // namespace sluice::control
