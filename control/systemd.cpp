// SPDX-License-Identifier: Apache-2.0
#include "control/systemd.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <string>

namespace sluice::control {
namespace {

// 0: none is asked for, or it is meant for another process.
std::uint64_t watchdog_us() {
  const auto number = [](const char* name) {
    const char* text = std::getenv(name);
    std::uint64_t value = 0;
    if (text != nullptr) std::from_chars(text, text + std::char_traits<char>::length(text), value);
    return value;
  };
  const std::uint64_t pid = number("WATCHDOG_PID");
  return pid != 0 && pid != static_cast<std::uint64_t>(getpid()) ? 0 : number("WATCHDOG_USEC");
}

}  // namespace

bool notify_service_manager(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string_view name = path == nullptr ? "" : path;
  if (name.empty() || name.size() >= sizeof(address.sun_path)) return false;
  std::copy(name.begin(), name.end(), address.sun_path);
  if (name[0] == '@') address.sun_path[0] = '\0';  // the abstract namespace
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return false;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  const bool sent = ::sendto(socket, state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                             reinterpret_cast<const sockaddr*>(&address), size) >= 0;
  ::close(socket);
  return sent;
}

void notify_reloading() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const auto us = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
                  static_cast<std::uint64_t>(now.tv_nsec) / 1000;
  notify_service_manager("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(us));
}

ServiceHeartbeat::ServiceHeartbeat(const dataplane::Dataplane& plane) : plane_(plane) {
  notify_service_manager("READY=1");
  if (const std::uint64_t us = watchdog_us(); us != 0)
    thread_ = std::thread([this, us] { run(std::max<std::uint64_t>(us / 2, 1)); });
}

ServiceHeartbeat::~ServiceHeartbeat() {
  notify_service_manager("STOPPING=1");
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void ServiceHeartbeat::run(std::uint64_t interval_us) {
  std::unique_lock lock(mutex_);
  do {
    const auto workers = plane_.workers();
    if (std::none_of(workers.begin(), workers.end(),
                     [](const auto& worker) { return worker.is_hung; }))
      notify_service_manager("WATCHDOG=1");
  } while (!wake_.wait_for(lock, std::chrono::microseconds(interval_us), [this] { return stop_; }));
}

}  // namespace sluice::control
