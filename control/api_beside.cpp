// SPDX-License-Identifier: Apache-2.0
//
// What stands beside the prefix, for machines that know nothing of it.
#include "control/api_route.h"
#include "control/metrics.h"

namespace sluice::control {
namespace {

HttpAnswer metrics(const Call& call) {
  HttpAnswer answer;
  answer.body = metrics_text(call.publisher, call.rooms.http);
  answer.content_type = kMetricsType;
  return answer;
}

}  // namespace

std::vector<Route> beside_routes() {
  std::vector<Route> routes{{"GET", "/metrics", metrics, {}}};
  for (Route& route : routes) route.is_beside_prefix = true;
  return routes;
}

}  // namespace sluice::control
