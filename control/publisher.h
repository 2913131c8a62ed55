// SPDX-License-Identifier: Apache-2.0
//
// The one thread that changes what is enforced: validate, compile, store, publish, in this order.
//
// Changes that wait together are brought into force together: each is validated in its turn against
// what the one before it made, then all are compiled, stored and published as one generation, and
// only then is each answered. One that is refused does not touch the others; should their sum be
// refused (a limit, the store), each is tried by itself. A batch ends before a change that asks for
// another fate of live flows, or that has an If-Match: what that one names is a generation, and it
// is judged against the one in force.
//
// The thread also does what the node does by itself: it ends attachments whose time is up and rolls
// back what was not confirmed, first in each generation, so that none begins with what is over.
//
// Limits: kChangesWaiting changes wait; beyond them a change is refused (unavailable).
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "control/change_request.h"
#include "control/store.h"
#include "dataplane/dataplane.h"
#include "rules/compile.h"

namespace sluice::control {

inline constexpr std::size_t kChangesWaiting = 1024;
inline constexpr std::size_t kChangesPerGeneration = 64;

// An acknowledged change: every worker enforces it.
struct Applied {
  rules::Json answer;
  std::string_view kind = "change";  // or "start": what the node began with
  std::uint64_t generation = 0;      // that enforces it; of a dry run: the one in force
  std::uint64_t compile_us = 0;
  std::uint64_t store_us = 0;
  std::uint64_t swap_us = 0;
  std::size_t changes = 1;        // that became this generation together
  dataplane::FateCounts flows{};  // live flows that the generation no longer allows
  bool is_dry_run = false;        // nothing was changed
};

// The table in force, and what it took to put it there.
struct TableReport {
  std::shared_ptr<const rules::Table> table;  // null before the first
  std::uint64_t compile_us = 0;
  std::uint64_t swap_us = 0;
};

class Publisher {
 public:
  using Change = control::Change;
  using Done = std::function<void(rules::Result<Applied>)>;
  using Observer = std::function<void(const Applied&)>;
  using StoreTask = std::function<void(Store*)>;
  using Clock = std::function<UnixMs()>;

  Publisher(Store& store, dataplane::Dataplane& dataplane, dataplane::Settings settings,
            Clock clock = unix_ms_now);
  ~Publisher();

  // Tells of each table when it is in force, on the publisher's thread; must not block. Before
  // start(), which tells of the first.
  void observe(Observer observer) { observer_ = std::move(observer); }

  // Puts the stored state, or the first one, in force, with the system rules, and starts the
  // thread. What became due while the node was down is done before.
  [[nodiscard]] rules::Result<void> start(
      std::shared_ptr<const rules::SystemRules> system_rules = nullptr);

  // Ends after the changes at hand; those that wait, and come later, are refused.
  void stop();

  // Queues a change; `done` is called once, on the publisher's thread (or here, if refused at
  // once).
  void submit(ChangeRequest request, Done done);
  void submit(Change change, Done done) {
    submit(ChangeRequest{std::move(change)}, std::move(done));
  }
  // Queues a read of the store; null: the node is stopping.
  void with_store(StoreTask task);

  [[nodiscard]] StatePtr state() const;     // any thread
  [[nodiscard]] TableReport table() const;  // any thread
  // What became of the configured files last time they were read; null: never. Any thread.
  [[nodiscard]] rules::Json last_reload() const;
  void note_reload(rules::Json report);
  [[nodiscard]] dataplane::Dataplane& dataplane() const { return dataplane_; }
  [[nodiscard]] const std::vector<std::string>& zones() const { return zones_; }
  [[nodiscard]] const dataplane::Settings& settings() const { return settings_; }

 private:
  struct Job {
    ChangeRequest request;
    Done done;
    StoreTask task{};  // instead of a change
  };
  using Jobs = std::deque<Job>;
  // A job on its way: what came of it so far.
  struct Evaluated {
    Job job;
    rules::Result<Step> step;
    AuditEntry entry;
  };
  struct Batch {
    StatePtr before;
    State next;
    std::vector<Evaluated> jobs;
    std::size_t accepted = 0;
    dataplane::FlowsOnChange flows{};
  };

  void run();
  [[nodiscard]] Jobs wait_for_jobs();
  void take_due(Batch& batch);
  void apply_all(Jobs jobs);
  [[nodiscard]] std::uint64_t next_generation(const State& before) const;
  [[nodiscard]] Batch begin_batch() const;
  [[nodiscard]] bool take(Batch& batch, Job& job) const;
  void finish(Batch batch);
  void refuse(Batch batch, const rules::Error& error);
  void answer(Batch batch, const Applied& applied);
  [[nodiscard]] rules::Result<Applied> preview(const Job& job);
  struct Refusal {
    rules::Error error;
    bool is_of_publish = false;  // a worker; no smaller change would do better
  };
  [[nodiscard]] tl::expected<Applied, Refusal> enforce(const StatePtr& before, StatePtr after,
                                                       std::span<const AuditEntry> audit,
                                                       bool store, dataplane::FlowsOnChange flows);
  void take_back();
  [[nodiscard]] rules::Result<void> take_back_stored();
  void tell(const Applied& applied) const;

  Store& store_;                     // publisher thread only, once it runs
  dataplane::Dataplane& dataplane_;  // publish: publisher thread only
  const dataplane::Settings settings_;
  const Clock clock_;
  const std::vector<std::string> zones_;
  Observer observer_;                                    // publisher thread only, once it runs
  rules::Compiler compiler_;                             // publisher thread only
  std::shared_ptr<const dataplane::Snapshot> in_force_;  // publisher thread only
  std::uint64_t tried_ = 0;  // newest generation published, or meant to be; publisher thread only
  StatePtr stored_ahead_;    // stored, not in force, to be taken back; publisher thread only
  std::chrono::steady_clock::time_point due_again_{};  // publisher thread only

  mutable std::mutex mutex_;  // guards what follows
  StatePtr state_;            // publisher: w, others: r
  std::condition_variable wake_;
  Jobs jobs_;
  bool stopping_ = false;
  TableReport table_;
  rules::Json last_reload_;
  std::thread thread_;
};

}  // namespace sluice::control
