// SPDX-License-Identifier: Apache-2.0
//
// What a service manager of Type=notify wants to hear (sd_notify(3)): that the node enforces, and,
// again and again, that its workers live. Without NOTIFY_SOCKET: nothing.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "dataplane/dataplane.h"

namespace sluice::control {

// A line such as "READY=1" to NOTIFY_SOCKET. False: there is none, or nobody listens there.
bool notify_service_manager(std::string_view state);

// RELOADING=1 with the time that goes with it; to be followed by READY=1.
void notify_reloading();

// Says READY=1 now, STOPPING=1 at its end and, where WATCHDOG_USEC asks for it, WATCHDOG=1 at twice
// the rate asked for as long as no worker hangs: a worker that does has the daemon restarted.
class ServiceHeartbeat {
 public:
  explicit ServiceHeartbeat(const dataplane::Dataplane& plane);
  ~ServiceHeartbeat();
  ServiceHeartbeat(const ServiceHeartbeat&) = delete;
  ServiceHeartbeat& operator=(const ServiceHeartbeat&) = delete;

 private:
  void run(std::uint64_t interval_us);

  const dataplane::Dataplane& plane_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;  // under mutex_
  std::thread thread_;
};

}  // namespace sluice::control
