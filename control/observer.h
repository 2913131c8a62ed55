// SPDX-License-Identifier: Apache-2.0
//
// The thread that asks the workers: takes in samples of drops, forgets counts of what is gone, and
// runs the questions of the API that must wait for workers, so that nobody else does.
//
// Limits: kQuestionsWaiting questions wait; beyond them one is refused (unavailable).
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "control/drop_history.h"
#include "control/event_hub.h"
#include "control/publisher.h"

namespace sluice::control {

inline constexpr std::size_t kQuestionsWaiting = 64;

class Observer {
 public:
  // `events`: drops are told there; null: nowhere.
  Observer(Publisher& publisher, EventHub* events);
  ~Observer();

  void start();
  // Ends after the question at hand; those that wait are run no more.
  void stop();

  // Runs the question on the observer's thread. False: too many wait, or it has stopped.
  [[nodiscard]] bool ask(std::function<void()> question);

  [[nodiscard]] const DropHistory& drops() const { return drops_; }  // any thread

 private:
  void run();
  void take_drops();
  void forget_what_is_gone();

  Publisher& publisher_;
  EventHub* const events_;
  DropHistory drops_;
  std::uint64_t kept_for_ = 0;  // own thread: generation whose LBs and rules are counted apart

  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  std::deque<std::function<void()>> questions_;
  bool stopping_ = true;
  std::thread thread_;
};

}  // namespace sluice::control
