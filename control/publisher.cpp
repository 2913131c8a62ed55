// SPDX-License-Identifier: Apache-2.0
#include "control/publisher.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <utility>

namespace sluice::control {
namespace {

using rules::ErrorCode;
using rules::fail;
using rules::Result;
using Clock = std::chrono::steady_clock;

std::uint64_t us_since(Clock::time_point begin) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count());
}

}  // namespace

Publisher::Publisher(Store& store, dataplane::Dataplane& dataplane, dataplane::Settings settings)
    : store_(store), dataplane_(dataplane), settings_(settings), zones_(dataplane.zones()) {}

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
  for (const Job& job : std::exchange(jobs_, {}))
    job.done(fail(ErrorCode::unavailable, "The node is stopping; nothing was changed."));
}

Result<void> Publisher::start(std::shared_ptr<const rules::SystemRules> system_rules) {
  auto stored = store_.load();
  if (!stored) return tl::unexpected(stored.error());
  const bool is_new = !stored->has_value();
  const State nothing;
  auto state = std::make_shared<State>(is_new ? first_state() : std::move(**stored));
  if (is_new) state->generation = 1;
  state->node.system_rules = std::move(system_rules);
  auto enforced = enforce(std::make_shared<const State>(nothing), state, is_new, {});
  if (!enforced) return tl::unexpected(enforced.error());
  enforced->kind = "start";
  tell(*enforced);
  thread_ = std::thread([this] { run(); });
  return {};
}

void Publisher::submit(Change change, Done done) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_ && jobs_.size() < kChangesWaiting) {
      jobs_.push_back({std::move(change), std::move(done)});
      wake_.notify_one();
      return;
    }
  }
  done(fail(ErrorCode::unavailable,
            "Too many changes wait, or the node is stopping; try again in a moment."));
}

void Publisher::run() {
  while (true) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    const Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job.done(apply(job.change));
  }
}

// A change that throws (memory, a library) must not end the thread that everything depends on.
Result<Applied> Publisher::apply(const Change& change) try {
  StatePtr before = state_.load();
  auto outcome = change(*before);
  if (!outcome) return tl::unexpected(outcome.error());
  if (outcome->is_answer_only) return answer_only(*before, std::move(*outcome));
  outcome->next.generation = before->generation + 1;
  auto applied = enforce(before, std::make_shared<const State>(std::move(outcome->next)), true,
                         outcome->flows);
  if (!applied) return applied;
  applied->answer = std::move(outcome->answer);
  tell(*applied);
  return applied;
} catch (const std::exception& exception) {
  spdlog::error("a change failed: {}", exception.what());
  return fail(ErrorCode::capacity,
              std::string("The change could not be made: ") + exception.what());
}

// The compiler compares with what it compiled last, so the table that comes to nothing costs the
// next change no more than what it differs by.
Result<Applied> Publisher::answer_only(const State& before, Outcome outcome) {
  const auto begin = Clock::now();
  const auto table = compiler_.compile(outcome.next.node, zones_, before.generation);
  if (!table) return tl::unexpected(table.error());
  Applied applied;
  applied.answer = std::move(outcome.answer);
  applied.generation = before.generation;
  applied.compile_us = us_since(begin);
  return applied;
}

Result<Applied> Publisher::enforce(StatePtr before, StatePtr after, bool store,
                                   dataplane::FlowsOnChange flows) {
  Applied applied;
  applied.generation = after->generation;

  const auto compile_begin = Clock::now();
  auto table = compiler_.compile(after->node, zones_, after->generation);
  if (!table) return tl::unexpected(table.error());
  auto snapshot = std::make_shared<const dataplane::Snapshot>(
      dataplane::Snapshot{std::move(*table), settings_, flows});
  applied.compile_us = us_since(compile_begin);

  const auto store_begin = Clock::now();
  if (store) {
    if (auto stored = store_.commit(*before, *after); !stored)
      return tl::unexpected(stored.error());
  }
  applied.store_us = us_since(store_begin);

  auto swapped = dataplane_.publish(snapshot);
  if (!swapped) {
    if (store) roll_back(*before, *after);
    return tl::unexpected(swapped.error());
  }
  applied.swap_us = swapped->swap_ns / 1000;
  applied.flows = swapped->flows;
  in_force_ = snapshot;
  state_.store(std::move(after));
  const std::lock_guard lock(mutex_);
  table_ = {snapshot->table, applied.compile_us, applied.swap_us};
  return applied;
}

// What listens must not make a change fail that is in force.
void Publisher::tell(const Applied& applied) const try {
  if (observer_) observer_(applied);
} catch (const std::exception& exception) {
  spdlog::error("generation {} is in force, but was not told of: {}", applied.generation,
                exception.what());
}

// A worker did not take the new table: the last good one again, in the store and on the others.
void Publisher::roll_back(const State& before, const State& after) {
  if (auto stored = store_.commit(after, before); !stored)
    spdlog::error("a change that was not published could not be taken back: {}",
                  stored.error().message);
  if (in_force_ != nullptr && !dataplane_.publish(in_force_))
    spdlog::error("a worker does not answer; restart sluiced");
}

rules::Json Publisher::last_reload() const {
  const std::lock_guard lock(mutex_);
  return last_reload_;
}

void Publisher::note_reload(rules::Json report) {
  const std::lock_guard lock(mutex_);
  last_reload_ = std::move(report);
}

TableReport Publisher::table() const {
  const std::lock_guard lock(mutex_);
  return table_;
}

}  // namespace sluice::control
