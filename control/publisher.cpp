// SPDX-License-Identifier: Apache-2.0
#include "control/publisher.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "control/preview.h"

namespace sluice::control {
namespace {

using rules::ErrorCode;
using rules::fail;
using rules::Result;
using Steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

// The clock of the day may be set: it is looked at anew at least this often while something is to
// become due.
constexpr milliseconds kClockLook{200};
// What the node has to do by itself and could not (a full disk) is tried again after this.
constexpr milliseconds kDueAgain{2000};

std::uint64_t us_since(Steady::time_point begin) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(Steady::now() - begin).count());
}

void log_made_by_node(const AuditEntry& entry) {
  if (entry.cause == "request") return;
  if (entry.result == "done") {
    spdlog::info("{} {} by {}: generation {}", entry.method, entry.path, entry.cause,
                 entry.generation_after);
  } else {
    spdlog::error("{} {} by {} could not be done: {}; trying again", entry.method, entry.path,
                  entry.cause, entry.message);
  }
}

void set_result(AuditEntry& entry, const rules::Error& error) {
  entry.generation_after = entry.generation_before;
  entry.touched.clear();
  entry.result = error.message == kStale ? kStale : to_string(error.code);
  entry.message = error.message;
}

}  // namespace

Publisher::Publisher(Store& store, dataplane::Dataplane& dataplane, dataplane::Settings settings,
                     Clock clock)
    : store_(store),
      dataplane_(dataplane),
      settings_(settings),
      clock_(std::move(clock)),
      zones_(dataplane.zones()) {}

Publisher::~Publisher() {
  stop();
}

void Publisher::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  (void)take_back_stored();
  for (const Job& job : std::exchange(jobs_, {})) {
    if (job.task) {
      job.task(nullptr);
    } else {
      job.done(fail(ErrorCode::unavailable, "The node is stopping; nothing was changed."));
    }
  }
}

Result<void> Publisher::start(std::shared_ptr<const rules::SystemRules> system_rules) {
  auto stored = store_.load();
  if (!stored) return tl::unexpected(stored.error());
  const bool is_new = !stored->has_value();
  auto state = std::make_shared<State>(is_new ? first_state() : std::move(**stored));
  if (is_new) state->generation = 1;
  state->node.system_rules = std::move(system_rules);
  {
    const std::lock_guard lock(mutex_);
    state_ = state;
  }
  if (!is_new) {
    // Not by apply_all(): nothing must be in force, not for a moment, whose time is over.
    Batch batch = begin_batch();
    take_due(batch);
    if (batch.accepted != 0) {
      finish(std::move(batch));
      if (in_force_ != nullptr) {
        thread_ = std::thread([this] { run(); });
        return {};
      }
    }
  }
  auto enforced = enforce(std::make_shared<const State>(), state, {}, is_new, {});
  if (!enforced) return tl::unexpected(enforced.error().error);
  enforced->kind = "start";
  tell(*enforced);
  thread_ = std::thread([this] { run(); });
  return {};
}

void Publisher::submit(ChangeRequest request, Done done) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_ && jobs_.size() < kChangesWaiting) {
      jobs_.push_back({std::move(request), std::move(done)});
      wake_.notify_one();
      return;
    }
  }
  done(fail(ErrorCode::unavailable,
            "Too many changes wait, or the node is stopping; try again in a moment."));
}

void Publisher::with_store(StoreTask task) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_ && jobs_.size() < kChangesWaiting) {
      jobs_.push_back({{}, {}, std::move(task)});
      wake_.notify_one();
      return;
    }
  }
  task(nullptr);
}

void Publisher::run() {
  while (true) {
    Jobs jobs = wait_for_jobs();
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) {
        jobs_.insert(jobs_.begin(), std::make_move_iterator(jobs.begin()),
                     std::make_move_iterator(jobs.end()));
        return;
      }
    }
    if (stored_ahead_ != nullptr && Steady::now() >= due_again_ && !take_back_stored())
      due_again_ = Steady::now() + kDueAgain;
    apply_all(std::move(jobs));
  }
}

// All that wait; none: something may be due, or the end.
Publisher::Jobs Publisher::wait_for_jobs() {
  const std::optional<UnixMs> due = next_due(*state());
  std::unique_lock lock(mutex_);
  const auto ready = [this] { return stopping_ || !jobs_.empty(); };
  if (due || stored_ahead_ != nullptr) {
    const auto left = milliseconds(due ? std::max<UnixMs>(*due - clock_(), 1) : 1);
    const auto again = std::chrono::duration_cast<milliseconds>(due_again_ - Steady::now());
    wake_.wait_for(lock, std::min(std::max(left, again), kClockLook), ready);
  } else {
    wake_.wait(lock, ready);
  }
  return stopping_ ? Jobs{} : std::exchange(jobs_, {});
}

// Until nothing more is due: a rollback can bring back an attachment whose time is over.
void Publisher::take_due(Batch& batch) {
  if (Steady::now() < due_again_) return;
  std::size_t accepted = 0;
  do {
    accepted = batch.accepted;
    if (batch.next.pending.empty() && batch.next.expiries.empty()) return;
    for (ChangeRequest& request : due_changes(batch.next, clock_())) {
      Job job{std::move(request), [this](const Result<Applied>& applied) {
                if (!applied) due_again_ = Steady::now() + kDueAgain;
              }};
      if (!take(batch, job)) return;
    }
  } while (batch.accepted != accepted);
}

void Publisher::apply_all(Jobs jobs) {
  do {
    if (!jobs.empty() && jobs.front().task) {
      jobs.front().task(&store_);
      jobs.pop_front();
      continue;
    }
    Batch batch = begin_batch();
    take_due(batch);
    while (!jobs.empty() && !jobs.front().task && take(batch, jobs.front())) jobs.pop_front();
    if (batch.accepted != 0) take_due(batch);  // what a rollback that was asked for brought back
    if (!batch.jobs.empty()) {
      finish(std::move(batch));
    } else if (!jobs.empty()) {
      const Job job = std::move(jobs.front());
      jobs.pop_front();
      job.done(preview(job));
    }
  } while (!jobs.empty());
}

// Never one that a worker may have seen: its flows remember by what generation they were judged.
std::uint64_t Publisher::next_generation(const State& before) const {
  return std::max(before.generation, tried_) + 1;
}

Publisher::Batch Publisher::begin_batch() const {
  Batch batch;
  batch.before = state();
  batch.next = *batch.before;
  return batch;
}

// False: the job is not for this batch; an empty one refuses dry runs only.
bool Publisher::take(Batch& batch, Job& job) const {
  if (batch.jobs.size() >= kChangesPerGeneration && !job.request.is_automatic) return false;
  if (batch.accepted != 0 && !job.request.if_match.empty()) return false;
  const std::uint64_t generation = next_generation(*batch.before);
  const UnixMs now = clock_();
  auto step = evaluate(job.request, batch.next, now, generation);
  if (step && step->is_dry_run) return false;
  if (!step && job.request.options.dry_run) return false;
  if (step && batch.accepted != 0 && step->flows != batch.flows) return false;
  AuditEntry entry = audit_entry(job.request.source, now);
  entry.generation_before = batch.before->generation;
  if (step) {
    entry.generation_after = generation;
    entry.touched = step->touched;
    entry.result = "done";
    entry.change = step->change;
    batch.flows = step->flows;
    batch.next = std::move(step->next);
    batch.next.generation = generation;
    ++batch.accepted;
  } else {
    set_result(entry, step.error());
  }
  batch.jobs.push_back({std::move(job), std::move(step), std::move(entry)});
  return true;
}

void Publisher::finish(Batch batch) {
  std::vector<AuditEntry> audit;
  for (const Evaluated& item : batch.jobs) audit.push_back(item.entry);
  if (batch.accepted == 0) {
    // Nothing is answered that depends on it: a refusal that cannot be recorded is one.
    if (auto stored = store_.commit(*batch.before, *batch.before, audit); !stored)
      spdlog::error("a refused change could not be recorded: {}", stored.error().message);
    return answer(std::move(batch), {});
  }
  const auto applied = enforce(batch.before, std::make_shared<const State>(std::move(batch.next)),
                               audit, true, batch.flows);
  if (applied) return answer(std::move(batch), *applied);
  if (batch.jobs.size() == 1 || applied.error().is_of_publish)
    return refuse(std::move(batch), applied.error().error);
  for (Evaluated& item : batch.jobs) {
    Batch alone = begin_batch();
    if (take(alone, item.job)) {
      finish(std::move(alone));
    } else {
      item.job.done(preview(item.job));
    }
  }
}

// What the batch came to is not in force; who was refused before stays refused.
void Publisher::refuse(Batch batch, const rules::Error& error) {
  std::vector<AuditEntry> audit;
  for (Evaluated& item : batch.jobs) {
    if (item.step) {
      set_result(item.entry, error);
      item.step = tl::unexpected(error);
    }
    audit.push_back(item.entry);
  }
  if (auto stored = store_.commit(*batch.before, *batch.before, audit); !stored)
    spdlog::error("a refused change could not be recorded: {}", stored.error().message);
  answer(std::move(batch), {});
}

void Publisher::answer(Batch batch, const Applied& applied) {
  if (batch.accepted != 0 && applied.generation != 0) tell(applied);
  for (Evaluated& item : batch.jobs) {
    log_made_by_node(item.entry);
    if (!item.step) {
      item.job.done(tl::unexpected(item.step.error()));
      continue;
    }
    Applied own = applied;
    own.answer = std::move(item.step->answer);
    own.changes = batch.accepted;
    item.job.done(std::move(own));
  }
}

// Validated and compiled as a change is, then looked at instead of stored and published. The
// compiler compares with what it compiled last, so the table that comes to nothing costs the next
// change no more than what it differs by.
Result<Applied> Publisher::preview(const Job& job) try {
  const StatePtr before = state();
  auto step = evaluate(job.request, *before, clock_(), next_generation(*before));
  if (!step) return tl::unexpected(step.error());
  const auto begin = Steady::now();
  auto table = compiler_.compile(step->next.node, zones_, next_generation(*before));
  if (!table) return tl::unexpected(table.error());
  Applied applied;
  applied.is_dry_run = true;
  applied.generation = before->generation;
  applied.compile_us = us_since(begin);
  applied.flows = dataplane_.preview(std::make_shared<const dataplane::Snapshot>(
      dataplane::Snapshot{*table, settings_, step->flows}));
  applied.answer = std::move(step->answer);
  applied.answer.update(preview_to_json({*before, step->next, *in_force_->table, **table, zones_}));
  return applied;
} catch (const std::exception& exception) {
  spdlog::error("a dry run failed: {}", exception.what());
  return fail(ErrorCode::capacity,
              std::string("The change could not be tried: ") + exception.what());
}

tl::expected<Applied, Publisher::Refusal> Publisher::enforce(const StatePtr& before, StatePtr after,
                                                             std::span<const AuditEntry> audit,
                                                             bool store,
                                                             dataplane::FlowsOnChange flows) try {
  Applied applied;
  applied.generation = after->generation;

  const auto compile_begin = Steady::now();
  auto table = compiler_.compile(after->node, zones_, after->generation);
  if (!table) return tl::unexpected(Refusal{table.error()});
  auto snapshot = std::make_shared<const dataplane::Snapshot>(
      dataplane::Snapshot{std::move(*table), settings_, flows});
  applied.compile_us = us_since(compile_begin);

  const auto store_begin = Steady::now();
  if (auto back = take_back_stored(); !back) return tl::unexpected(Refusal{back.error()});
  if (store) {
    if (auto stored = store_.commit(*before, *after, audit); !stored)
      return tl::unexpected(Refusal{stored.error()});
    stored_ahead_ = after;
  }
  applied.store_us = us_since(store_begin);

  tried_ = snapshot->generation();
  auto swapped = dataplane_.publish(snapshot);
  if (!swapped) {
    if (store) take_back();
    return tl::unexpected(Refusal{swapped.error(), true});
  }
  applied.swap_us = swapped->swap_ns / 1000;
  applied.flows = swapped->flows;
  in_force_ = snapshot;
  stored_ahead_ = nullptr;
  const std::lock_guard lock(mutex_);
  state_ = std::move(after);
  table_ = {snapshot->table, applied.compile_us, applied.swap_us};
  return applied;
} catch (const std::exception& exception) {
  // Memory, a library: it must not end the thread that everything depends on.
  spdlog::error("a change failed: {}", exception.what());
  (void)take_back_stored();
  return tl::unexpected(Refusal{
      {ErrorCode::capacity, std::string("The change could not be made: ") + exception.what(), {}}});
}

// A worker did not take the new table: the last good one again, in the store and on the others.
void Publisher::take_back() {
  if (auto stored = take_back_stored(); !stored)
    spdlog::error("a change that was not published could not be taken back: {}",
                  stored.error().message);
  if (in_force_ != nullptr && !dataplane_.publish(in_force_))
    spdlog::error("a worker does not answer; restart sluiced");
}

// Before anything else is stored, which would be written as a difference to what is in force.
Result<void> Publisher::take_back_stored() {
  if (stored_ahead_ == nullptr) return {};
  auto stored = store_.commit(*stored_ahead_, *state(), {});
  if (stored) stored_ahead_ = nullptr;
  return stored;
}

// What listens must not make a change fail that is in force.
void Publisher::tell(const Applied& applied) const try {
  if (observer_) observer_(applied);
} catch (const std::exception& exception) {
  spdlog::error("generation {} is in force, but was not told of: {}", applied.generation,
                exception.what());
}

rules::Json Publisher::last_reload() const {
  const std::lock_guard lock(mutex_);
  return last_reload_;
}

void Publisher::note_reload(rules::Json report) {
  const std::lock_guard lock(mutex_);
  last_reload_ = std::move(report);
}

// Under the mutex: the atomic<shared_ptr> of libstdc++ 12 reads its pointer without an order.
StatePtr Publisher::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

TableReport Publisher::table() const {
  const std::lock_guard lock(mutex_);
  return table_;
}

}  // namespace sluice::control
