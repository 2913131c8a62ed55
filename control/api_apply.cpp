// SPDX-License-Identifier: Apache-2.0
//
// The routes of whole documents.
#include "control/api_route.h"
#include "control/service_apply.h"

namespace sluice::control {
namespace {

constexpr std::uint64_t kDocumentBytesMax = 64u << 20;  // some 300,000 rules

Publisher::Change application(const Call& call) {
  return [body = call.body, zones = call.publisher.zones()](const State& state) {
    return apply_document(state, body, zones);
  };
}

}  // namespace

std::vector<Route> apply_routes() {
  Route apply{"POST", "/apply", {}, application};
  apply.body_bytes_max = kDocumentBytesMax;
  return {
      apply,
      {"GET", "/export", state_view(export_document), {}},
  };
}

}  // namespace sluice::control
