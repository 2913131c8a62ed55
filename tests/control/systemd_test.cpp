// SPDX-License-Identifier: Apache-2.0
#include "control/systemd.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "tests/control/fake_dataplane.h"
#include "tests/control/temporary_folder.h"

namespace sluice::control {
namespace {

// The service manager's end.
class Manager {
 public:
  explicit Manager(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_DGRAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(path.begin(), path.end(), address.sun_path);
    EXPECT_EQ(::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~Manager() {
    ::close(socket_);
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
  }
  // The next message; empty: none came in so many milliseconds.
  [[nodiscard]] std::string next(int within_ms = 2000) const {
    const timeval limit{within_ms / 1000, within_ms % 1000 * 1000};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    std::string text(256, '\0');
    const ssize_t size = ::recv(socket_, text.data(), text.size(), 0);
    return text.substr(0, size < 0 ? 0 : static_cast<std::size_t>(size));
  }
  // Takes what has come, then waits.
  [[nodiscard]] std::string next_of_now(int within_ms) const {
    while (!next(1).empty()) {
    }
    return next(within_ms);
  }

 private:
  int socket_;
};

TEST(ServiceHeartbeat, SaysReadyAndStopping) {
  const tests::TemporaryFolder folder;
  const Manager manager(folder.file("notify"));
  const tests::FakeDataplane plane;
  {
    const ServiceHeartbeat heartbeat(plane);
    EXPECT_EQ(manager.next(), "READY=1");
    EXPECT_EQ(manager.next(50), "") << "no watchdog was asked for";
  }
  EXPECT_EQ(manager.next(), "STOPPING=1");
}

TEST(ServiceHeartbeat, BeatsWhileNoWorkerHangs) {
  const tests::TemporaryFolder folder;
  const Manager manager(folder.file("notify"));
  ::setenv("WATCHDOG_USEC", "40000", 1);
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  tests::FakeDataplane plane;
  const ServiceHeartbeat heartbeat(plane);
  EXPECT_EQ(manager.next(), "READY=1");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(manager.next(), "WATCHDOG=1");
  plane.worker_is_hung = true;
  (void)manager.next(60);  // one may be on its way
  EXPECT_EQ(manager.next_of_now(200), "");
  plane.worker_is_hung = false;
  EXPECT_EQ(manager.next(), "WATCHDOG=1");
}

TEST(ServiceHeartbeat, LeavesTheWatchdogOfAnotherProcessAlone) {
  const tests::TemporaryFolder folder;
  const Manager manager(folder.file("notify"));
  ::setenv("WATCHDOG_USEC", "20000", 1);
  ::setenv("WATCHDOG_PID", "1", 1);
  const tests::FakeDataplane plane;
  const ServiceHeartbeat heartbeat(plane);
  EXPECT_EQ(manager.next(), "READY=1");
  EXPECT_EQ(manager.next(100), "");
}

TEST(ServiceHeartbeat, NeedsNoServiceManager) {
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_FALSE(notify_service_manager("READY=1"));
  ::setenv("NOTIFY_SOCKET", std::string(200, 'x').c_str(), 1);
  EXPECT_FALSE(notify_service_manager("READY=1"));
  ::setenv("NOTIFY_SOCKET", "/nosuch/socket", 1);
  EXPECT_FALSE(notify_service_manager("READY=1"));
  ::unsetenv("NOTIFY_SOCKET");
}

}  // namespace
}  // namespace sluice::control
