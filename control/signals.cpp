// SPDX-License-Identifier: Apache-2.0
#include "control/signals.h"

#include <pthread.h>

namespace sluice::control {

Signals::Signals() {
  sigemptyset(&signals_);
  for (int signal : {SIGHUP, SIGTERM, SIGINT}) sigaddset(&signals_, signal);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on the size of files: a change that fails, not the node
}

int Signals::wait_for_end(const std::function<void()>& reload) const {
  while (true) {
    int signal = 0;
    if (sigwait(&signals_, &signal) != 0) continue;
    if (signal != SIGHUP) return signal;
    reload();
  }
}

}  // namespace sluice::control
