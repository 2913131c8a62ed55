// SPDX-License-Identifier: Apache-2.0
//
// Random changes, valid and not, of a node; and a state as one text, to compare states by.
#pragma once

#include <string>

#include "control/change_request.h"
#include "control/load_balancer.h"
#include "control/undo.h"
#include "rules/json.h"
#include "tests/oracle/random.h"

namespace sluice::tests {

inline std::string text_of(const control::State& state) {
  rules::Json json{
      {"generation", state.generation},
      {"next",
       {state.next_group, state.next_rule, state.next_lb, state.next_vpc, state.next_change}},
      {"default", state.node.account_default_group}};
  for (const auto& [id, group] : state.node.groups)
    json["groups"].push_back(rules::group_to_json(*group, false));
  for (const auto& [id, vpc] : state.node.vpcs) json["vpcs"].push_back(rules::vpc_to_json(*vpc));
  for (const auto& [id, lb] : state.node.load_balancers)
    json["lbs"].push_back({id, control::stored_lb_to_json(*lb)});
  for (const auto& [attachment, at] : state.expiries)
    json["expiries"].push_back({attachment.lb, attachment.group, at});
  for (const auto& [id, pending] : state.pending)
    json["pending"].push_back({id, control::pending_to_json(*pending)});
  return json.dump();
}

inline rules::Json random_group(oracle::Random& random) {
  rules::Json rules = rules::Json::array();
  for (std::uint64_t i = 0, count = 1 + oracle::below(random, 30); i < count; ++i)
    rules.push_back({{"rule_type", i == 0 ? "Outbound" : "Inbound"},
                     {"protocol_name", "Custom_TCP"},
                     {"port_range", std::to_string(oracle::below(random, 65536))},
                     {"network", "any"}});
  return {{"name", "g" + std::to_string(oracle::below(random, 12))}, {"rules", rules}};
}

// Ids are drawn from a few, so that many changes meet what is there and many do not.
inline control::ChangeRequest random_request(oracle::Random& random) {
  using namespace control;
  const auto group = static_cast<rules::GroupId>(1 + oracle::below(random, 12));
  const auto lb = static_cast<rules::LbId>(1 + oracle::below(random, 6));
  const auto change = static_cast<ChangeId>(1 + oracle::below(random, 8));
  const rules::Json ids{{"security_group_ids", {group}}};
  ChangeRequest request;
  switch (oracle::below(random, 10)) {
    case 0:
    case 1:
      request.change = [body = random_group(random)](const State& state) {
        return create_group(state, body);
      };
      break;
    case 2:
      request.change = [group, body = random_group(random)](const State& state) {
        return update_group(state, group, body);
      };
      break;
    case 3:
      request.change = [group](const State& state) { return delete_group(state, group); };
      break;
    case 4:
    case 5:
      request.change = [lb, ids](const State& state) { return attach(state, lb, ids); };
      if (oracle::chance(random, 30)) request.options.expires_in_s = 100'000;
      break;
    case 6:
      request.change = [lb, ids](const State& state) { return detach(state, lb, ids); };
      break;
    case 7:
      request.change = [n = oracle::below(random, 9)](const State& state) {
        return register_lb(state,
                           {{"lb_name", "lb" + std::to_string(n)},
                            {"status", "Running"},
                            {"addresses", {"10.0.0." + std::to_string(n + 1)}}},
                           std::vector<std::string>{"edge"});
      };
      break;
    case 8:
      request.change = [lb](const State& state) { return delete_lb(state, lb); };
      break;
    default:
      request.change = [change, confirms = oracle::chance(random, 50)](const State& state) {
        return confirms ? confirm_change(state, change) : roll_back_change(state, change);
      };
  }
  if (oracle::chance(random, 25)) request.options.confirm_within_s = 3600;
  return request;
}

}  // namespace sluice::tests
