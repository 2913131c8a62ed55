// SPDX-License-Identifier: Apache-2.0
//
// Streams of events (server-sent events).
#include "control/api_events.h"

#include <charconv>

#include "control/api_route.h"
#include "control/flows_option.h"

namespace sluice::control {

namespace {

std::optional<std::uint64_t> last_event_id(const HttpRequest& request) {
  const std::string_view text = request.header("Last-Event-ID");
  if (text.empty()) return std::nullopt;
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  // An id that is none of ours is as good as one from long ago: the client hears what it lost.
  return error == std::errc{} && end == text.data() + text.size() ? id : 0;
}

}  // namespace

HttpAnswer stream_answer(const Call& call, std::string_view topic, EventHub::Start start) {
  if (call.rooms.events == nullptr)
    return refusal({rules::ErrorCode::not_found, "This node streams no events.", {}});
  start.after = last_event_id(call.request);
  HttpAnswer answer;
  answer.stream = call.rooms.events->subscribe(topic, std::move(start));
  return answer;
}

void publish_generation(EventHub& hub, const Applied& applied) {
  hub.publish(kGenerationTopic, "generation",
              dump({{"generation", applied.generation},
                    {"kind", applied.kind},
                    {"compile_us", applied.compile_us},
                    {"store_us", applied.store_us},
                    {"swap_us", applied.swap_us},
                    {"flows", fates_to_json(applied.flows)}}),
              applied.generation);
}

std::vector<Route> event_routes() {
  const auto generations = [](const Call& call) {
    return stream_answer(call, kGenerationTopic, {.with_last = true});
  };
  return {
      {"GET", "/events", generations, {}},
  };
}

}  // namespace sluice::control
