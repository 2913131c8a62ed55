// SPDX-License-Identifier: Apache-2.0
//
// The routes of whole documents.
#include "control/api_route.h"
#include "control/service_apply.h"

namespace sluice::control {
namespace {

Publisher::Change application(const Call& call) {
  return [body = call.body, zones = call.publisher.zones()](const State& state) {
    return apply_document(state, body, zones);
  };
}

}  // namespace

std::vector<Route> apply_routes() {
  return {
      {"POST", "/apply", {}, application},
      {"GET", "/export", state_view(export_document), {}},
  };
}

}  // namespace sluice::control
