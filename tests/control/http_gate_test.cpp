// SPDX-License-Identifier: Apache-2.0
//
// Who may do what over loopback TCP, and what is refused before a body is read.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "control/token.h"
#include "tests/control/api_bed.h"

namespace sluice::control {
namespace {

using tests::http_request;
using tests::HttpConnection;
using tests::HttpReply;

// A port that was free a moment ago.
std::uint16_t free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size), 0);
  ::close(socket);
  return ntohs(address.sin_port);
}

class TcpBed : public ApiBed {
 protected:
  std::uint16_t port = free_port();
  std::vector<std::string> addresses() override {
    return {"unix:" + path, fmt::format("http://127.0.0.1:{}", port)};
  }
  [[nodiscard]] HttpReply tcp(const std::string& method, const std::string& target,
                              const std::string& body = "", const std::string& headers = "") const {
    auto connection = HttpConnection::to_tcp(port);
    connection.send(http_request(method, target, headers, body));
    return connection.reply();
  }
};

class HttpGate : public TcpBed {};

TEST_F(HttpGate, LetsUnknownLocalUsersReadAndChangeNothing) {
  EXPECT_EQ(tcp("GET", at("/table/")).status, 200);
  const auto refused = tcp("POST", at("/security_group/"), group("a"));
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.header("WWW-Authenticate"), R"(Bearer realm="sluice")");
  EXPECT_NE(refused.body["message"].get<std::string>().find("operate"), std::string::npos);
  EXPECT_EQ(plane.generation(), 1u);
  // The test's own user is the daemon's.
  EXPECT_EQ(call("POST", at("/security_group/"), group("a")).status, 200);
}

TEST_F(HttpGate, KnowsItsOwnHostAndOrigin) {
  for (const auto& [host, status] : {std::pair{"localhost", 200},
                                     {"127.0.0.1:80", 200},
                                     {"[::1]:80", 200},
                                     {"evil.example", 403},
                                     {"127.0.0.1.evil.example", 403},
                                     {"LOCALHOST.", 200}})
    EXPECT_EQ(tcp("GET", at("/table/"), "", fmt::format("Host: {}\r\n", host)).status, status)
        << host;
  for (const auto& [origin, status] :
       {std::pair{"http://localhost", 200}, {"http://evil.example", 403}, {"null", 403}})
    EXPECT_EQ(call("POST", at("/security_group/"), group(fmt::format("g{}", status)),
                   fmt::format("Origin: {}\r\n", origin))
                  .status,
              status)
        << origin;
  EXPECT_EQ(plane.generation(), 2u);
}

TEST_F(HttpGate, RefusesWhatIsNoJsonOrTooLarge) {
  EXPECT_EQ(call("POST", at("/security_group/"), "x", "Content-Type: text/plain\r\n").status, 415);
  EXPECT_EQ(call("POST", at("/security_group/"), "x", "Content-Encoding: gzip\r\n").status, 415);
  auto connection = connect();
  connection.send("POST " + at("/security_group/") +
                  " HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n");
  EXPECT_EQ(connection.reply().status, 413);
  auto chunked = connect();
  chunked.send("POST " + at("/security_group/") +
               " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n500000\r\n");
  EXPECT_EQ(chunked.reply().status, 413);
  EXPECT_EQ(plane.generation(), 1u);
}

TEST_F(HttpGate, InvitesABodyThatWaits) {
  auto connection = connect();
  const std::string body = group("a");
  connection.send(
      fmt::format("POST {} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                  "Content-Length: {}\r\n\r\n",
                  at("/security_group/"), body.size()));
  EXPECT_EQ(connection.receive("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  connection.send(body);
  EXPECT_EQ(connection.reply().status, 200);
}

TEST_F(HttpGate, EchoesASaneRequestId) {
  EXPECT_EQ(call("GET", at("/table/"), "", "X-Request-Id: a-1.B_2\r\n").header("X-Request-Id"),
            "a-1.B_2");
  const std::string own =
      call("GET", at("/table/"), "", "X-Request-Id: a b\r\n").header("X-Request-Id");
  EXPECT_EQ(own.size(), 16u) << own;
}

// Pipelined requests are answered in order, a refused one with a small body among them.
TEST_F(HttpGate, GoesOnAfterARefusal) {
  auto connection = HttpConnection::to_tcp(port);
  connection.send(http_request("POST", at("/security_group/"), "", group("a")) +
                  http_request("GET", at("/nosuch/")) + http_request("GET", at("/table/")));
  EXPECT_EQ(connection.reply().status, 401);
  EXPECT_EQ(connection.reply().status, 404);
  EXPECT_EQ(connection.reply().status, 200);
}

class HttpTokens : public TcpBed {
 protected:
  std::string tokens = folder.file("tokens");
  HttpOptions options() override {
    write(token_line({"looker", Role::read, hash_secret("see")}) + "\n" +
          token_line({"worker", Role::operate, hash_secret("do")}) + "\n");
    HttpOptions chosen;
    chosen.tokens_path = tokens;
    return chosen;
  }
  void write(const std::string& text) const {
    std::ofstream(tokens) << text;
    ::chmod(tokens.c_str(), 0600);
  }
  [[nodiscard]] int status(const std::string& method, const std::string& secret,
                           const std::string& body = "") const {
    return tcp(method, at("/security_group/"), body,
               secret.empty() ? "" : "Authorization: Bearer " + secret + "\r\n")
        .status;
  }
};

TEST_F(HttpTokens, GivesEachTokenItsRole) {
  EXPECT_EQ(status("GET", ""), 401);
  EXPECT_EQ(status("GET", "nonsense"), 401);
  EXPECT_EQ(status("GET", "see"), 200);
  EXPECT_EQ(status("POST", "see", group("a")), 403);
  EXPECT_EQ(plane.generation(), 1u);
  EXPECT_EQ(status("POST", "do", group("a")), 200);
  EXPECT_EQ(tcp("GET", "/healthz").status, 200);
}

TEST_F(HttpTokens, FollowsTheFileAndKeepsWhatABrokenOneHad) {
  write(token_line({"other", Role::read, hash_secret("new")}) + "\n");
  EXPECT_EQ(status("GET", "see"), 401);
  EXPECT_EQ(status("GET", "new"), 200);
  write("nonsense\n");
  EXPECT_EQ(status("GET", "new"), 200);
  ::chmod(tokens.c_str(), 0644);
  EXPECT_EQ(status("GET", "new"), 200);
}

class HttpFewRequests : public TcpBed {
 protected:
  HttpOptions options() override {
    HttpOptions chosen;
    chosen.requests_max = 5;
    chosen.connections_max = 8;
    return chosen;
  }
};

TEST_F(HttpFewRequests, BoundsTheRateOfAPeer) {
  HttpReply last;
  for (int i = 0; i < 20 && last.status != 429; ++i) last = call("GET", at("/table/"));
  EXPECT_EQ(last.status, 429);
  EXPECT_EQ(last.header("Retry-After"), "1");
  EXPECT_EQ(tcp("GET", at("/table/")).status, 200);  // another peer
}

TEST_F(HttpFewRequests, LeavesRoomForOtherPeers) {
  std::vector<HttpConnection> taken;
  for (int i = 0; i < 4; ++i) {
    taken.push_back(HttpConnection::to_tcp(port));
    taken.back().send(http_request("GET", "/healthz"));
    ASSERT_EQ(taken.back().reply().status, 200);
  }
  EXPECT_EQ(HttpConnection::to_tcp(port).reply().status, 503);
  EXPECT_EQ(call("GET", at("/table/")).status, 200);
}

TEST(Tokens, NamesEveryLineThatIsWrong) {
  const auto tokens =
      read_tokens("# tokens\n\nx\nname walk sha256:00\n" + token_line({"a", Role::read, {}}) +
                  "\n" + token_line({"a", Role::admin, {}}) + "\n");
  ASSERT_FALSE(tokens);
  std::vector<std::string> places;
  for (const auto& problem : tokens.error().problems) places.push_back(problem.where);
  EXPECT_EQ(places, (std::vector<std::string>{"line 3", "line 4", "line 6"}));
  EXPECT_NE(make_secret(), make_secret());
}

}  // namespace
}  // namespace sluice::control
