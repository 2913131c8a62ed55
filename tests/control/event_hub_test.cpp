// SPDX-License-Identifier: Apache-2.0
#include "control/event_hub.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace sluice::control {
namespace {

constexpr std::size_t kMuch = 1u << 30;

TEST(EventHub, GivesEachEventOnceAndInOrder) {
  EventHub hub;
  const auto stream = hub.subscribe("t", {});
  EXPECT_EQ(stream->take(kMuch), "");
  hub.publish("t", "a", "{}", 5);
  hub.publish("other", "x", "{}");
  hub.publish("t", "b", "two\nlines", 6);
  EXPECT_EQ(stream->take(kMuch),
            "id: 5\nevent: a\ndata: {}\n\nid: 6\nevent: b\ndata: two\ndata: lines\n\n");
  EXPECT_EQ(stream->take(kMuch), "");
}

TEST(EventHub, BeginsWithWhatComesNextOrWithTheLastOfAll) {
  EventHub hub;
  hub.publish("t", "a", "1", 1);
  hub.publish("t", "a", "2", 2);
  EXPECT_EQ(hub.subscribe("t", {})->take(kMuch), "");
  EXPECT_EQ(hub.subscribe("t", {.with_last = true})->take(kMuch), "id: 2\nevent: a\ndata: 2\n\n");
}

TEST(EventHub, GoesOnAfterTheLastEventOfAClient) {
  EventHub hub;
  for (int i = 11; i <= 14; ++i) hub.publish("t", "a", fmt::format("{}", i), i);
  EXPECT_EQ(hub.subscribe("t", {.after = 12})->take(kMuch),
            "id: 13\nevent: a\ndata: 13\n\nid: 14\nevent: a\ndata: 14\n\n");
  EXPECT_EQ(hub.subscribe("t", {.after = 14})->take(kMuch), "");
}

TEST(EventHub, TellsWhatWasLost) {
  EventHub hub;
  hub.publish("t", "a", "7", 7);
  const std::string lost = "id: 6\nevent: lost\ndata: {\"after\":3,\"until\":6}\n\n";
  EXPECT_EQ(hub.subscribe("t", {.after = 3})->take(kMuch), lost + "id: 7\nevent: a\ndata: 7\n\n");
  // An id from the future is one of another life.
  EXPECT_TRUE(hub.subscribe("t", {.after = 99})->take(kMuch).starts_with("id: 6\nevent: lost"));
}

TEST(EventHub, KeepsABoundedRingWhoeverListens) {
  EventHub hub;
  const auto slow = hub.subscribe("t", {});
  for (std::size_t i = 1; i <= kEventsKept + 10; ++i) hub.publish("t", "a", "{}", i);
  const std::string text = slow->take(kMuch);
  EXPECT_TRUE(text.starts_with("id: 10\nevent: lost\ndata: {\"after\":0,\"until\":10}\n\n"))
      << text;
  EXPECT_NE(text.find(fmt::format("id: {}\n", kEventsKept + 10)), std::string::npos);
  const auto large = hub.subscribe("big", {});
  for (int i = 1; i <= 100; ++i) hub.publish("big", "a", std::string(100'000, 'x'), i);
  EXPECT_LT(large->take(kMuch).size(), 2 * kEventBytesKept);
}

TEST(EventHub, GivesSequenceNumbersThatOnlyGrow) {
  EventHub hub;
  hub.publish("t", "a", "1");
  hub.publish("t", "a", "2");
  const std::string text = hub.subscribe("t", {.after = 0})->take(kMuch);
  EXPECT_NE(text.find("event: lost"), std::string::npos);
  EventHub later;
  later.publish("t", "a", "3");
  const auto id = [](const std::string& events) {
    return std::stoull(events.substr(events.rfind("id: ") + 4));
  };
  EXPECT_GT(id(later.subscribe("t", {.with_last = true})->take(kMuch)), id(text));
  hub.publish("t", "a", "of the past", 1);
  EXPECT_EQ(hub.subscribe("t", {.with_last = true})->take(kMuch).find("past"), std::string::npos);
}

TEST(EventHub, FiltersWithoutStoppingAtWhatIsNotWanted) {
  EventHub hub;
  const auto stream =
      hub.subscribe("t", {.wants = [](const Event& event) { return event.name == "b"; }});
  for (int i = 1; i <= 100; ++i) hub.publish("t", "a", "{}", i);
  hub.publish("t", "b", "{}", 101);
  EXPECT_EQ(stream->take(1), "id: 101\nevent: b\ndata: {}\n\n");
}

TEST(EventHub, TakesFromManyThreads) {
  EventHub hub;
  std::atomic<int> woken{0};
  hub.on_publish([&] { ++woken; });
  const auto stream = hub.subscribe("t", {});
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread)
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) hub.publish("t", "a", "{}");
    });
  std::size_t events = 0;
  const auto count = [&events](const std::string& text) {
    for (std::size_t at = 0; (at = text.find("event: a", at)) != std::string::npos; ++at) ++events;
  };
  while (woken < 800) count(stream->take(4096));
  for (std::thread& thread : threads) thread.join();
  count(stream->take(kMuch));
  EXPECT_EQ(events, 800u);
}

}  // namespace
}  // namespace sluice::control
