// SPDX-License-Identifier: Apache-2.0
//
// A session whose answer comes from another thread.
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "control/http_server.h"
#include "tests/control/http_client.h"
#include "tests/control/temporary_folder.h"

namespace sluice::control {
namespace {

constexpr int kClients = 4;
constexpr int kRequests = 100;

// The thread that answers lets go of a session after the client went away, while the server counts
// the next ones in: what they share must be one thread's. Told by the sanitizers.
TEST(HttpSession, EndsOnTheServersThreadWhoeverAnswers) {
  const tests::TemporaryFolder folder;
  const std::string path = folder.file("api.sock");
  std::vector<std::jthread> answering;
  answering.reserve(kClients * kRequests);  // the server's thread only adds
  auto opened = HttpServer::open(
      {"unix:" + path},
      [&](const HttpRequest& /*request*/, Respond respond) {
        answering.emplace_back([respond = std::move(respond)]() mutable {
          respond({});
          std::this_thread::sleep_for(std::chrono::milliseconds(20));
          respond = nullptr;
        });
      },
      [](unsigned, const std::string& message) { return message; });
  ASSERT_TRUE(opened) << opened.error().message;
  auto& server = **opened;
  server.start();
  std::atomic<int> answered{0};
  {
    std::vector<std::jthread> clients;
    for (int i = 0; i < kClients; ++i)
      clients.emplace_back([&] {
        for (int request = 0; request < kRequests; ++request) {
          auto connection = tests::HttpConnection::to_unix(path);
          connection.send(tests::http_request("GET", "/"));
          if (connection.reply().status == 200) ++answered;
        }
      });
  }
  EXPECT_EQ(answered, kClients * kRequests);
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (server.counts().connections != 0 && std::chrono::steady_clock::now() < patience)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(server.counts().connections, 0u);
  answering.clear();
}

}  // namespace
}  // namespace sluice::control
