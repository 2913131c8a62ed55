// SPDX-License-Identifier: Apache-2.0
#include "control/observer.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "control/api_route.h"

namespace sluice::control {
namespace {

using Clock = std::chrono::steady_clock;

// How often workers' rings are emptied, and counts of what is gone are given up.
constexpr auto kDrainEvery = std::chrono::milliseconds(100);
constexpr auto kForgetEvery = std::chrono::seconds(10);
constexpr std::size_t kDropsAtOnce = 4096;

// Of the rules in force, those that stand in no group of the node too (the node's own).
void add_rules_in_force(const rules::Table& table, const State& state,
                        const std::vector<std::string>& zones, std::set<rules::RuleId>& ids) {
  std::set<rules::GroupId> seen;
  for (const auto& [id, lb] : state.node.load_balancers) {
    if (lb->addresses.empty()) continue;
    const auto zone = std::find(zones.begin(), zones.end(), lb->zone);
    const auto index = static_cast<std::uint16_t>(zone == zones.end() ? 0 : zone - zones.begin());
    const rules::LbMatch match = table.find_lb(index, lb->addresses[0].address);
    if (match.lb != id) continue;
    for (const auto& group : table.policy(match.policy).groups) {
      if (!seen.insert(group->group().group->id).second) continue;
      for (const rules::Rule& rule : group->group().group->rules) ids.insert(rule.id);
    }
  }
}

}  // namespace

Observer::Observer(Publisher& publisher, EventHub* events)
    : publisher_(publisher), events_(events) {}

Observer::~Observer() {
  stop();
}

void Observer::start() {
  const std::lock_guard lock(mutex_);
  stopping_ = false;
  thread_ = std::thread([this] { run(); });
}

void Observer::stop() {
  std::deque<std::function<void()>> unasked;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    unasked = std::exchange(questions_, {});
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool Observer::ask(std::function<void()> question) {
  const std::lock_guard lock(mutex_);
  if (stopping_ || questions_.size() == kQuestionsWaiting) return false;
  questions_.push_back(std::move(question));
  wake_.notify_one();
  return true;
}

void Observer::run() {
  auto drain_at = Clock::now(), forget_at = Clock::now() + kForgetEvery;
  while (true) {
    std::function<void()> question;
    {
      std::unique_lock lock(mutex_);
      wake_.wait_until(lock, drain_at, [this] { return stopping_ || !questions_.empty(); });
      if (stopping_) return;
      if (!questions_.empty()) {
        question = std::move(questions_.front());
        questions_.pop_front();
      }
    }
    try {
      if (question) question();
      if (Clock::now() >= drain_at) {
        take_drops();
        drain_at = Clock::now() + kDrainEvery;
      }
      if (Clock::now() >= forget_at) {
        forget_what_is_gone();
        forget_at = Clock::now() + kForgetEvery;
      }
    } catch (const std::exception& exception) {
      // Memory, a library: the next turn may do better.
      spdlog::error("observing the workers failed: {}", exception.what());
      drain_at = Clock::now() + kDrainEvery;
    }
  }
}

void Observer::take_drops() {
  const auto records = publisher_.dataplane().take_drops(kDropsAtOnce);
  if (records.empty()) return;
  const StatePtr state = publisher_.state();
  const dataplane::Snapshot snapshot{publisher_.table().table, publisher_.settings(), {}};
  if (state == nullptr || snapshot.table == nullptr) return;
  for (const dataplane::DropRecord& record : records) {
    const auto drop = drops_.add(record, snapshot, *state);
    if (events_ != nullptr) events_->publish(kDropsTopic, "drop", dump(drop->json), drop->id);
  }
}

// Ids are never used twice, so counts of what is gone would only take room.
void Observer::forget_what_is_gone() {
  const StatePtr state = publisher_.state();
  const auto table = publisher_.table().table;
  if (table == nullptr || state->generation == kept_for_) return;
  std::vector<rules::LbId> lbs;
  for (const auto& [id, lb] : state->node.load_balancers) lbs.push_back(id);
  std::set<rules::RuleId> rules;
  for (const auto& [id, group] : state->node.groups)
    for (const rules::Rule& rule : group->rules) rules.insert(rule.id);
  add_rules_in_force(*table, *state, publisher_.zones(), rules);
  publisher_.dataplane().forget_counts_but_of(std::move(lbs), {rules.begin(), rules.end()});
  kept_for_ = state->generation;
}

}  // namespace sluice::control
