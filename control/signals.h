// SPDX-License-Identifier: Apache-2.0
//
// The signals that the daemon lives by: SIGHUP reloads, SIGTERM and SIGINT end it.
#pragma once

#include <csignal>
#include <functional>

namespace sluice::control {

class Signals {
 public:
  // Blocks them, for this thread and those it starts from here on: they reach nobody but wait().
  // SIGPIPE is ignored.
  Signals();

  // Calls `reload` for every SIGHUP, on this thread; returns the signal that ends the daemon.
  int wait_for_end(const std::function<void()>& reload) const;

 private:
  sigset_t signals_{};
};

}  // namespace sluice::control
