// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "control/flows_option.h"
#include "control/load_balancer.h"
#include "control/service.h"
#include "rules/builtin_groups.h"
#include "rules/system_rules.h"
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
  if (name == rules::kSystemGroupName)
    return Problem{"name", "is that of the node's own rules; choose another"};
  for (const auto& [id, group] : state.node.groups)
    if (id != but && group->name == name)
      return Problem{"name", fmt::format("\"{}\" is the name of group {}", name, id)};
  return std::nullopt;
}

struct GroupRequest {
  Group group;
  bool is_default = false;
  dataplane::FlowsOnChange flows;
};

// The body of a create (id 0) or update; what is wrong in it and a name that is taken, at once.
Result<GroupRequest> read_group(const State& state, const Json& body, GroupId id) {
  auto group = rules::group_from_json(body, state.node);
  std::vector<Problem> problems;
  if (!group) problems = group.error().problems;
  rules::FieldReader fields(body, "", problems);
  const bool is_default = id == 0 && fields.boolean("default").value_or(false);
  dataplane::FlowsOnChange flows;
  if (id != 0 && body.is_object()) flows = read_flows(body, problems);
  const bool is_invalid = !problems.empty();
  // A text only: a name of another type is among the problems already.
  const Json given = body.is_object() ? body.value("name", Json()) : Json();
  if (given.is_string())
    if (const auto name = rules::parse_name(given.get<std::string>()))
      if (auto taken = name_taken(state, *name, id)) problems.push_back(std::move(*taken));
  if (!problems.empty()) {
    return fail(
        rules::refusal(std::move(problems), is_invalid ? ErrorCode::invalid : ErrorCode::conflict));
  }
  group->id = id;
  return GroupRequest{std::move(*group), is_default, flows};
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
  auto request = read_group(state, body, 0);
  if (!request) return tl::unexpected(request.error());
  Group& group = request->group;
  Outcome outcome{state, {}};
  group.id = outcome.next.next_group++;
  rules::keep_identities(nullptr, group, outcome.next.next_rule);
  outcome.answer = {{"id", group.id}, {"label_id", nullptr}, {"resource_type", nullptr}};
  if (request->is_default) outcome.next.node.account_default_group = group.id;
  put(outcome.next, std::move(group));
  return outcome;
}

Result<Outcome> update_group(const State& state, GroupId id, const Json& body) {
  const auto previous = find_group(state, id);
  if (!previous) return tl::unexpected(previous.error());
  auto request = read_group(state, body, id);
  if (!request) return tl::unexpected(request.error());
  Group& group = request->group;
  group.is_all_traffic_rule = previous->is_all_traffic_rule;
  Outcome outcome{state, {}, request->flows};
  rules::keep_identities(&*previous, group, outcome.next.next_rule);
  outcome.answer = {{"id", id}, {"name", group.name}};
  put(outcome.next, std::move(group));
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

namespace {

// The body of a create (id 0) or update.
Result<rules::Vpc> read_vpc(const State& state, const Json& body, rules::VpcId id) {
  auto vpc = rules::vpc_from_json(body);
  if (!vpc) return vpc;
  vpc->id = id;
  // Ids yet to come count: what the name means must not change by itself.
  if (auto problem = rules::vpc_name_reads_as_id(*vpc, UINT32_MAX))
    return fail(rules::refusal({std::move(*problem)}));
  for (const auto& [other_id, other] : state.node.vpcs)
    if (other_id != id && other->name == vpc->name)
      return conflict(
          {{"vpc_name", fmt::format("\"{}\" is the name of VPC {}", vpc->name, other_id)}});
  return vpc;
}

Outcome with_vpc(State next, rules::Vpc vpc) {
  Outcome outcome{std::move(next), rules::vpc_to_json(vpc)};
  const rules::VpcId id = vpc.id;
  outcome.next.node.vpcs[id] = std::make_shared<const rules::Vpc>(std::move(vpc));
  return outcome;
}

}  // namespace

Result<Outcome> create_vpc(const State& state, const Json& body) {
  auto vpc = read_vpc(state, body, 0);
  if (!vpc) return tl::unexpected(vpc.error());
  State next = state;
  vpc->id = next.next_vpc++;
  return with_vpc(std::move(next), std::move(*vpc));
}

Result<Outcome> update_vpc(const State& state, rules::VpcId id, const Json& body) {
  if (!state.node.vpcs.contains(id))
    return fail(ErrorCode::not_found, fmt::format("There is no VPC {}.", id));
  auto vpc = read_vpc(state, body, id);
  if (!vpc) return tl::unexpected(vpc.error());
  return with_vpc(state, std::move(*vpc));
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
