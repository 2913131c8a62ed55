// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "control/flows_option.h"
#include "control/load_balancer.h"
#include "control/service.h"
#include "rules/builtin_groups.h"
#include "rules/validate.h"

namespace sluice::control {
namespace {

using rules::ErrorCode;
using rules::fail;
using rules::Group;
using rules::GroupId;
using rules::Json;
using rules::Problem;
using rules::Result;

tl::unexpected<rules::Error> conflict(std::vector<Problem> problems) {
  return fail(rules::refusal(std::move(problems), ErrorCode::conflict));
}

std::optional<Problem> name_taken(const State& state, const std::string& name, GroupId but) {
  for (const auto& [id, group] : state.node.groups)
    if (id != but && group->name == name)
      return Problem{"name", fmt::format("\"{}\" is the name of group {}", name, id)};
  return std::nullopt;
}

void put(State& state, Group group) {
  const GroupId id = group.id;
  state.node.groups[id] = std::make_shared<const Group>(std::move(group));
}

}  // namespace

State first_state() {
  State state;
  for (Group& group : rules::builtin_groups()) put(state, std::move(group));
  state.node.account_default_group = rules::kDefaultGroupId;
  state.next_group = rules::kAllowAllGroupId + 1;
  state.next_rule = rules::kBuiltinRuleIdMax + 1;
  return state;
}

Result<Group> find_group(const State& state, GroupId id) {
  const auto group = state.node.groups.find(id);
  if (group == state.node.groups.end()) {
    return fail(ErrorCode::not_found, fmt::format("There is no security group {}.", id));
  }
  return *group->second;
}

Result<Outcome> create_group(const State& state, const Json& body) {
  auto group = rules::group_from_json(body, state.node);
  if (!group) return tl::unexpected(group.error());
  if (auto taken = name_taken(state, group->name, 0)) return conflict({*taken});
  std::vector<Problem> problems;
  const bool is_default = rules::FieldReader(body, "", problems).boolean("default").value_or(false);
  if (!problems.empty()) return fail(rules::refusal(std::move(problems)));
  Outcome outcome{state, {}};
  group->id = outcome.next.next_group++;
  rules::keep_identities(nullptr, *group, outcome.next.next_rule);
  outcome.answer = {{"id", group->id}, {"label_id", nullptr}, {"resource_type", nullptr}};
  if (is_default) outcome.next.node.account_default_group = group->id;
  put(outcome.next, std::move(*group));
  return outcome;
}

Result<Outcome> update_group(const State& state, GroupId id, const Json& body) {
  const auto previous = find_group(state, id);
  if (!previous) return tl::unexpected(previous.error());
  auto group = rules::group_from_json(body, state.node);
  if (!group) return tl::unexpected(group.error());
  std::vector<Problem> problems;
  const auto flows = read_flows(body, problems);
  if (!problems.empty()) return fail(rules::refusal(std::move(problems)));
  if (auto taken = name_taken(state, group->name, id)) return conflict({*taken});
  Outcome outcome{state, {}, flows};
  group->id = id;
  group->is_all_traffic_rule = previous->is_all_traffic_rule;
  rules::keep_identities(&*previous, *group, outcome.next.next_rule);
  outcome.answer = {{"id", id}, {"name", group->name}};
  put(outcome.next, std::move(*group));
  return outcome;
}

Result<Outcome> delete_group(const State& state, GroupId id) {
  const auto group = find_group(state, id);
  if (!group) return tl::unexpected(group.error());
  std::vector<Problem> problems;
  if (id == state.node.account_default_group) {
    problems.push_back({"id", fmt::format("\"{}\" is the account's default group; mark another "
                                          "as default first",
                                          group->name)});
  }
  for (const auto& [lb_id, lb] : state.node.load_balancers) {
    if (is_attached(*lb, id)) {
      problems.push_back({"id", fmt::format("\"{}\" is attached to load balancer {} ({})",
                                            group->name, lb_id, lb->name)});
    }
  }
  if (!problems.empty()) return conflict(std::move(problems));
  Outcome outcome{state, {{"name", group->name}}};
  outcome.next.node.groups.erase(id);
  return outcome;
}

Result<Outcome> mark_default(const State& state, GroupId id) {
  const auto group = find_group(state, id);
  if (!group) return tl::unexpected(group.error());
  Outcome outcome{state, {{"id", id}, {"name", group->name}}};
  outcome.next.node.account_default_group = id;
  return outcome;
}

Result<Outcome> create_vpc(const State& state, const Json& body) {
  auto vpc = rules::vpc_from_json(body);
  if (!vpc) return tl::unexpected(vpc.error());
  for (const auto& [id, other] : state.node.vpcs)
    if (other->name == vpc->name) {
      return conflict({{"vpc_name", fmt::format("\"{}\" is the name of VPC {}", vpc->name, id)}});
    }
  Outcome outcome{state, {}};
  vpc->id = outcome.next.next_vpc++;
  outcome.answer = rules::vpc_to_json(*vpc);
  const rules::VpcId id = vpc->id;
  outcome.next.node.vpcs[id] = std::make_shared<const rules::Vpc>(std::move(*vpc));
  return outcome;
}

Result<Outcome> delete_vpc(const State& state, rules::VpcId id) {
  const auto vpc = state.node.vpcs.find(id);
  if (vpc == state.node.vpcs.end())
    return fail(ErrorCode::not_found, fmt::format("There is no VPC {}.", id));
  std::vector<Problem> problems;
  for (const auto& [group_id, group] : state.node.groups) {
    const bool named = std::any_of(group->rules.begin(), group->rules.end(), [&](const auto& rule) {
      return rule.network.type == rules::NetworkType::my_network && rule.network.vpc == id;
    });
    if (named) {
      problems.push_back(
          {"id", fmt::format("a rule of group {} ({}) names this VPC", group_id, group->name)});
    }
  }
  if (!problems.empty()) return conflict(std::move(problems));
  Outcome outcome{state, {{"vpc_name", vpc->second->name}}};
  outcome.next.node.vpcs.erase(id);
  return outcome;
}

}  // namespace sluice::control
