// SPDX-License-Identifier: Apache-2.0
#include "control/event_hub.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <vector>

namespace sluice::control {
namespace {

std::size_t cost_of(const Event& event) {
  return sizeof(Event) + event.name.size() + event.data.size();
}

// The clock of the first event: a later life of the daemon begins beyond all ids of this one.
std::uint64_t first_sequence_number() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

// https://html.spec.whatwg.org/multipage/server-sent-events.html: a line break in the data begins
// another `data:` line.
void append_event(std::string& out, std::uint64_t id, std::string_view name,
                  std::string_view data) {
  out += fmt::format("id: {}\nevent: {}\n", id, name);
  while (true) {
    const std::size_t end = data.find('\n');
    out += fmt::format("data: {}\n", data.substr(0, end));
    if (end == std::string_view::npos) break;
    data.remove_prefix(end + 1);
  }
  out += '\n';
}

}  // namespace

void EventHub::publish(std::string_view topic_name, std::string name, std::string data,
                       std::uint64_t id) {
  std::function<void()> wake;
  {
    const std::lock_guard lock(mutex_);
    Topic& topic = topics_[std::string(topic_name)];
    if (id == 0) id = topic.last == 0 ? first_sequence_number() : topic.last + 1;
    if (id <= topic.last) return;
    if (topic.last == 0) topic.before_first = topic.gone = id - 1;
    topic.last = id;
    topic.ring.push_back(
        std::make_shared<const Event>(Event{id, std::move(name), std::move(data)}));
    topic.size_bytes += cost_of(*topic.ring.back());
    while (topic.ring.size() > kEventsKept ||
           (topic.size_bytes > kEventBytesKept && topic.ring.size() > 1)) {
      topic.size_bytes -= cost_of(*topic.ring.front());
      topic.gone = topic.ring.front()->id;
      topic.ring.pop_front();
    }
    wake = wake_;
  }
  if (wake) wake();
}

std::shared_ptr<EventSubscription> EventHub::subscribe(std::string_view topic_name, Start start) {
  std::shared_ptr<EventSubscription> subscription(
      new EventSubscription(*this, std::string(topic_name), std::move(start.wants)));
  const std::lock_guard lock(mutex_);
  const Topic& topic = topics_[subscription->topic_];
  if (start.after) {
    // An id that was never given is of another life: what came between is lost.
    subscription->after_ = *start.after <= topic.last ? *start.after : 0;
  } else if (topic.last != 0) {
    subscription->after_ = topic.last;
    if (start.with_last && !topic.ring.empty()) {
      const bool is_alone = topic.ring.size() == 1;
      subscription->after_ = is_alone ? topic.gone : topic.ring[topic.ring.size() - 2]->id;
    }
  }
  return subscription;
}

void EventHub::on_publish(std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  wake_ = std::move(wake);
}

std::string EventSubscription::take(std::size_t bytes_max) {
  std::string out;
  std::vector<std::shared_ptr<const Event>> events;
  do {
    events.clear();
    {
      const std::lock_guard lock(hub_.mutex_);
      const EventHub::Topic& topic = hub_.topics_[topic_];
      if (topic.last == 0) return {};
      if (!after_) after_ = topic.before_first;
      if (*after_ < topic.gone) {
        append_event(out, topic.gone, "lost",
                     fmt::format(R"({{"after":{},"until":{}}})", *after_, topic.gone));
        after_ = topic.gone;
      }
      const auto is_before = [](std::uint64_t id, const auto& event) { return id < event->id; };
      auto at = std::upper_bound(topic.ring.begin(), topic.ring.end(), *after_, is_before);
      for (std::size_t size = 0; at != topic.ring.end() && size < bytes_max; ++at) {
        events.push_back(*at);
        size += cost_of(**at);
        after_ = (*at)->id;
      }
    }
    for (const auto& event : events)
      if (!wants_ || wants_(*event)) append_event(out, event->id, event->name, event->data);
  } while (out.empty() && !events.empty());  // none of those was wanted: look further
  return out;
}

}  // namespace sluice::control
