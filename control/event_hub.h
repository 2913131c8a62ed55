// SPDX-License-Identifier: Apache-2.0
//
// Events by topic for clients that listen (server-sent events): rooms publish, streams read.
//
// How it works: a topic is one bounded ring that all its subscribers share; a subscriber is a place
// in it. So a publisher never waits for a client, and a thousand of them cost no memory: who is
// slower than the ring is told how many events it missed ("lost") and goes on with the oldest left.
//
// Owner:  any thread may publish; a subscription belongs to one thread at a time.
// Limits: kEventsKept events and kEventBytesKept bytes a topic.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::control {

inline constexpr std::size_t kEventsKept = 1024;
inline constexpr std::size_t kEventBytesKept = 1u << 20;

// The topics there are.
inline constexpr std::string_view kGenerationTopic = "generation";  // id: the generation
inline constexpr std::string_view kDropsTopic = "drops";            // id: a sequence number

struct Event {
  std::uint64_t id = 0;  // grows within its topic
  std::string name;      // the `event:` line
  std::string data;      // JSON, one line
};

class EventHub;

class EventSubscription {
 public:
  // The next events in the form they go over the wire, about bytes_max of them; empty: none yet.
  [[nodiscard]] std::string take(std::size_t bytes_max);

 private:
  friend class EventHub;
  using Filter = std::function<bool(const Event&)>;
  EventSubscription(EventHub& hub, std::string topic, Filter wants)
      : hub_(hub), topic_(std::move(topic)), wants_(std::move(wants)) {}

  EventHub& hub_;
  std::string topic_;
  Filter wants_;  // empty: all
  // Events with a greater id are still to come. None: the topic had no event yet; all are.
  std::optional<std::uint64_t> after_;
};

class EventHub {
 public:
  // `id` 0: the next sequence number, which is greater than any of an earlier life of the daemon.
  // An id must be greater than those before it; one that is not is given to nobody.
  void publish(std::string_view topic, std::string name, std::string data, std::uint64_t id = 0);

  struct Start {
    // The client's Last-Event-ID: go on after it, or tell what was lost.
    std::optional<std::uint64_t> after{};
    // Without one: begin with the last event there is (a state) instead of the next to come.
    bool with_last = false;
    std::function<bool(const Event&)> wants{};  // empty: all
  };
  // The hub must outlive it.
  [[nodiscard]] std::shared_ptr<EventSubscription> subscribe(std::string_view topic, Start start);

  // Called after each publish, on the publisher's thread: it must not block. One at a time; empty:
  // nobody.
  void on_publish(std::function<void()> wake);

 private:
  friend class EventSubscription;
  struct Topic {
    std::deque<std::shared_ptr<const Event>> ring;
    std::size_t size_bytes = 0;
    std::uint64_t before_first = 0;  // the first event of all came after this id
    std::uint64_t gone = 0;          // the ring begins after this id
    std::uint64_t last = 0;          // id of the newest event, 0: there was none
  };

  std::mutex mutex_;  // guards what follows
  std::map<std::string, Topic, std::less<>> topics_;
  std::function<void()> wake_;
};

}  // namespace sluice::control
