// SPDX-License-Identifier: Apache-2.0
//
// Routes that answer with a stream of events, and what is said on the topic of generations.
#pragma once

#include "control/api_route.h"

namespace sluice::control {

// A stream of a topic, after the request's Last-Event-ID; 404 where the node has no hub.
[[nodiscard]] HttpAnswer stream_answer(const Call& call, std::string_view topic,
                                       EventHub::Start start = {});

// `event: generation`, `id: <generation>`, {"generation", "kind", …} of a table in force.
void publish_generation(EventHub& hub, const Applied& applied);

}  // namespace sluice::control
