// SPDX-License-Identifier: Apache-2.0
//
// What the node tells a Prometheus server: counts and gauges as text (exposition format 0.0.4).
//
// Thread: any. Cost: a few hundred lines, whatever the number of groups and load balancers: those
// are told apart by GET /counters.
#pragma once

#include <string>

#include "control/http_counts.h"
#include "control/publisher.h"

namespace sluice::control {

inline constexpr std::string_view kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

// `http`: null: without what the HTTP server did.
[[nodiscard]] std::string metrics_text(const Publisher& publisher, const HttpCounts* http);

}  // namespace sluice::control
