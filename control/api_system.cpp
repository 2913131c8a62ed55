// SPDX-License-Identifier: Apache-2.0
//
// What comes from the node's configuration, to be read only.
#include "control/api_route.h"
#include "rules/system_rules.h"

namespace sluice::control {
namespace {

rules::Json list_system_rules(const State& state) {
  return state.node.system_rules == nullptr ? rules::Json::array()
                                            : rules::system_rules_to_json(*state.node.system_rules);
}

}  // namespace

std::vector<Route> system_routes() {
  const auto last_reload = view(
      [](const Call& call) -> rules::Result<rules::Json> { return call.publisher.last_reload(); });
  return {
      {"GET", "/system_rules", state_view(list_system_rules), {}},
      {"GET", "/reload", last_reload, {}},
  };
}

}  // namespace sluice::control
