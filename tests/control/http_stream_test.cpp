// SPDX-License-Identifier: Apache-2.0
//
// Event streams and files through a real socket.
#include <gtest/gtest.h>

#include <chrono>
#include <vector>

#include "tests/control/api_bed.h"

namespace sluice::control {
namespace {

using tests::http_request;

class HttpStreams : public ApiBed {};

TEST_F(HttpStreams, TellsTheGenerationInForceAndEachThatComes) {
  auto stream = connect();
  stream.send(http_request("GET", at("/events/")));
  const std::string head = stream.receive("\r\n\r\n");
  EXPECT_NE(head.find("Content-Type: text/event-stream"), std::string::npos) << head;
  EXPECT_NE(head.find(" 200 "), std::string::npos);
  EXPECT_EQ(head.find("Content-Length"), std::string::npos);
  const std::string first = stream.receive("}\n\n");
  EXPECT_NE(first.find("id: 1\nevent: generation\ndata: {"), std::string::npos) << first;
  EXPECT_NE(first.find(R"("kind":"start")"), std::string::npos) << first;
  EXPECT_EQ(call("POST", at("/security_group/"), group("a")).status, 200);
  const std::string second = stream.receive("}\n\n");
  EXPECT_TRUE(second.starts_with("id: 2\nevent: generation\ndata: {")) << second;
  EXPECT_NE(second.find(R"("generation":2)"), std::string::npos) << second;
  // A refused change is no event.
  EXPECT_EQ(call("POST", at("/security_group/"), group("a")).status, 409);
  EXPECT_EQ(call("POST", at("/security_group/"), group("b")).status, 200);
  EXPECT_TRUE(stream.receive("}\n\n").starts_with("id: 3\n"));
}

TEST_F(HttpStreams, ResumesAfterTheLastEventOfTheClient) {
  for (const char* name : {"a", "b", "c"}) (void)call("POST", at("/security_group/"), group(name));
  auto stream = connect();
  stream.send(http_request("GET", at("/events"), "Last-Event-ID: 2\r\n"));
  (void)stream.receive("retry: 2000\n\n");
  EXPECT_TRUE(stream.receive("}\n\n").starts_with("id: 3\n"));
  EXPECT_TRUE(stream.receive("}\n\n").starts_with("id: 4\n"));
  auto foreign = connect();
  foreign.send(http_request("GET", at("/events"), "Last-Event-ID: nonsense\r\n"));
  (void)foreign.receive("retry: 2000\n\n");
  EXPECT_TRUE(foreign.receive("}\n\n").starts_with("id: 1\n"));
}

TEST_F(HttpStreams, AnswersHeadWithoutAStream) {
  auto connection = connect();
  connection.send(http_request("HEAD", at("/events/")));
  const std::string text = connection.receive();
  EXPECT_NE(text.find("text/event-stream"), std::string::npos);
  EXPECT_TRUE(text.ends_with("\r\n\r\n"));
}

TEST_F(HttpStreams, AnswersOthersAtOnceBesideFiveHundredThatListen) {
  std::vector<tests::HttpConnection> streams;
  for (int i = 0; i < 500; ++i) {
    streams.push_back(connect());
    ASSERT_TRUE(streams.back().is_open());
    streams.back().send(http_request("GET", at("/events/")));
  }
  for (auto& stream : streams)
    ASSERT_NE(stream.receive("}\n\n").find("id: 1\n"), std::string::npos);
  std::vector<double> took_ms;
  for (int i = 0; i < 50; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    ASSERT_EQ(call("GET", at("/table/")).status, 200);
    took_ms.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
            .count());
  }
  std::sort(took_ms.begin(), took_ms.end());
  RecordProperty("median_ms", std::to_string(took_ms[took_ms.size() / 2]));
  fmt::print("a request beside 500 streams: median {:.2f} ms, worst {:.2f} ms\n",
             took_ms[took_ms.size() / 2], took_ms.back());
  EXPECT_EQ(call("POST", at("/security_group/"), group("a")).status, 200);
  for (auto& stream : streams) ASSERT_TRUE(stream.receive("}\n\n").starts_with("id: 2\n"));
}

// It hears that it lost events; the others hear each.
TEST_F(HttpStreams, NeverWaitsForAClientThatReadsNothing) {
  auto deaf = connect();
  const int small = 4096;
  ::setsockopt(deaf.socket(), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
  deaf.send(http_request("GET", at("/events/")));
  (void)deaf.receive("}\n\n");
  auto keen = connect();
  keen.send(http_request("GET", at("/events/")));
  (void)keen.receive("}\n\n");
  const std::string data(10'000, 'x');
  for (std::uint64_t id = 2; id < 500; ++id) {
    events.publish(kGenerationTopic, "generation", data, id);
    ASSERT_TRUE(keen.receive("x\n\n").starts_with("id: " + std::to_string(id) + "\n"));
  }
  EXPECT_NE(deaf.receive("event: lost").find("event: lost"), std::string::npos);
}

TEST_F(HttpStreams, ForgetsClientsThatGo) {
  for (int i = 0; i < 3000; ++i) {
    auto stream = connect();
    ASSERT_TRUE(stream.is_open()) << i;
    stream.send(http_request("GET", at("/events/")));
    ASSERT_NE(stream.receive("}\n\n").find("id: 1\n"), std::string::npos) << i;
  }
}

class HttpAssets : public ApiBed {
 protected:
  Asset page{"<!doctype html>", "text/html; charset=utf-8", "\"abc\""};
  void fill(ApiRooms& rooms) override {
    rooms.assets = [this](std::string_view target) { return target == "/" ? &page : nullptr; };
  }
};

TEST_F(HttpAssets, GivesFilesOutWithHeadersThatKeepForeignThingsAway) {
  const auto reply = call("GET", "/");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.text, page.content);
  EXPECT_EQ(reply.header("Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(reply.header("ETag"), "\"abc\"");
  EXPECT_EQ(reply.header("Cache-Control"), "no-cache");
  EXPECT_EQ(reply.header("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(reply.header("Referrer-Policy"), "no-referrer");
  const std::string policy = reply.header("Content-Security-Policy");
  EXPECT_TRUE(policy.starts_with("default-src 'self';")) << policy;
  EXPECT_NE(policy.find("frame-ancestors 'none'"), std::string::npos);
  const auto kept = call("GET", "/", "", "If-None-Match: \"abc\"\r\n");
  EXPECT_EQ(kept.status, 304);
  EXPECT_EQ(kept.text, "");
  EXPECT_EQ(call("GET", "/", "", "If-None-Match: \"old\"\r\n").status, 200);
  EXPECT_EQ(call("POST", "/", "{}").status, 405);
  EXPECT_EQ(call("GET", "/nosuch.js").status, 404);
}

}  // namespace
}  // namespace sluice::control
