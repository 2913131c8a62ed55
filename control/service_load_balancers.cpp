// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "control/flows_option.h"
#include "control/load_balancer.h"
#include "control/service.h"
#include "rules/validate.h"

namespace sluice::control {
namespace {

using rules::ErrorCode;
using rules::fail;
using rules::GroupId;
using rules::Json;
using rules::LbId;
using rules::LoadBalancer;
using rules::Problem;
using rules::Result;

void put(State& state, LoadBalancer lb) {
  const LbId id = lb.id;
  state.node.load_balancers[id] = std::make_shared<const LoadBalancer>(std::move(lb));
}

Result<LoadBalancer> lb_that_may_change(const State& state, LbId id, std::string_view verb) {
  auto lb = find_lb(state, id);
  if (!lb || may_change_attachments(lb->status)) return lb;
  return fail(rules::Error{
      ErrorCode::conflict,
      fmt::format("Load balancer {} is {}: security groups can be {} only while it is Running or "
                  "in Backend Connection Failure.",
                  lb->name, to_string(lb->status), verb),
      {{"status", std::string(to_string(lb->status))}}});
}

struct GroupIds {
  std::vector<GroupId> ids;
  dataplane::FlowsOnChange flows;
  std::vector<Problem> problems;
  bool unknown = false;
};

// "security_group_ids" or "security_group_id", a list or one number; each must exist, once.
GroupIds read_group_ids(const State& state, const Json& body) {
  GroupIds read;
  if (!body.is_object()) {
    read.problems.push_back({"", "the body must be an object"});
    return read;
  }
  read.flows = read_flows(body, read.problems);
  const char* name =
      body.contains("security_group_ids") ? "security_group_ids" : "security_group_id";
  const Json value = body.value(name, Json());
  const Json list = value.is_array() || value.is_null() ? value : Json::array({value});
  if (list.is_null() || list.empty()) {
    read.problems.push_back({"security_group_ids", "missing: the ids of one or more groups"});
    return read;
  }
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string place = value.is_array() ? fmt::format("{}[{}]", name, i) : name;
    std::vector<Problem> problems;
    const Json holder{{"id", list[i]}};
    const auto id = rules::FieldReader(holder, "", problems).number("id", UINT32_MAX);
    if (!id) {
      read.problems.push_back(
          {place, problems.empty() ? "must be a group id" : problems[0].message});
      continue;
    }
    const auto group = static_cast<GroupId>(*id);
    if (!state.node.groups.contains(group)) {
      read.problems.push_back({place, fmt::format("there is no security group {}", group)});
      read.unknown = true;
    } else if (std::find(read.ids.begin(), read.ids.end(), group) != read.ids.end()) {
      read.problems.push_back({place, fmt::format("{} stands twice", group)});
    } else {
      read.ids.push_back(group);
    }
  }
  return read;
}

// What was wrong with the ids themselves; unknown ids alone are "not found".
tl::unexpected<rules::Error> refuse_ids(GroupIds read) {
  return fail(rules::refusal(std::move(read.problems),
                             read.unknown ? ErrorCode::not_found : ErrorCode::invalid));
}

std::string label(const State& state, GroupId id) {
  return fmt::format("{} ({})", state.node.groups.at(id)->name, id);
}

}  // namespace

Result<LoadBalancer> find_lb(const State& state, LbId id) {
  const auto lb = state.node.load_balancers.find(id);
  if (lb == state.node.load_balancers.end())
    return fail(ErrorCode::not_found, fmt::format("There is no load balancer {}.", id));
  return *lb->second;
}

Result<LoadBalancer> find_lb_for_review(const State& state, LbId id) {
  return lb_that_may_change(state, id, "reviewed");
}

Result<Outcome> attach(const State& state, LbId id, const Json& body) {
  auto lb = lb_that_may_change(state, id, "attached");
  if (!lb) return tl::unexpected(lb.error());
  GroupIds read = read_group_ids(state, body);
  if (!read.problems.empty()) return refuse_ids(std::move(read));
  std::vector<Problem> problems;
  for (GroupId group : read.ids) {
    if (is_attached(*lb, group)) {
      problems.push_back(
          {"security_group_ids", fmt::format("{} is attached already", label(state, group))});
    }
    lb->groups.push_back(group);
  }
  if (!problems.empty()) return fail(rules::refusal(std::move(problems), ErrorCode::conflict));
  Outcome outcome{state, {{"id", id}, {"security_group_ids", read.ids}}, read.flows};
  for (GroupId group : read.ids) outcome.attached.push_back({id, group});
  put(outcome.next, std::move(*lb));
  return outcome;
}

Result<Outcome> detach(const State& state, LbId id, const Json& body) {
  auto lb = lb_that_may_change(state, id, "detached");
  if (!lb) return tl::unexpected(lb.error());
  GroupIds read = read_group_ids(state, body);
  if (!read.problems.empty()) return refuse_ids(std::move(read));
  std::vector<Problem> problems;
  for (GroupId group : read.ids) {
    if (!is_attached(*lb, group)) {
      problems.push_back(
          {"security_group_ids", fmt::format("{} is not attached", label(state, group))});
    } else if (group == lb->default_group) {
      problems.push_back({"security_group_ids",
                          fmt::format("{} is the default group of this load balancer and cannot "
                                      "be detached",
                                      label(state, group))});
    }
    std::erase(lb->groups, group);
  }
  if (!problems.empty()) return fail(rules::refusal(std::move(problems), ErrorCode::conflict));
  Outcome outcome{state, {{"id", id}, {"security_group_ids", read.ids}}, read.flows};
  put(outcome.next, std::move(*lb));
  return outcome;
}

Result<Outcome> register_lb(const State& state, const Json& body,
                            std::span<const std::string> zones) {
  auto lb = lb_from_registration(body, state.node, zones, 0);
  if (!lb) return tl::unexpected(lb.error());
  lb->default_group = state.node.account_default_group;
  lb->groups = {lb->default_group};
  if (body.contains("security_group_id") && !body["security_group_id"].is_null()) {
    GroupIds read = read_group_ids(state, {{"security_group_id", body["security_group_id"]}});
    if (!read.problems.empty()) return refuse_ids(std::move(read));
    lb->default_group = read.ids[0];
    lb->groups = read.ids;
  }
  Outcome outcome{state, {}};
  lb->id = outcome.next.next_lb++;
  outcome.answer = {{"appliance_id", lb->id},
                    {"id", lb->id},
                    {"resource_type", "load_balancer"},
                    {"label_id", nullptr}};
  put(outcome.next, std::move(*lb));
  return outcome;
}

Result<Outcome> replace_lb(const State& state, LbId id, const Json& body,
                           std::span<const std::string> zones) {
  const auto previous = find_lb(state, id);
  if (!previous) return tl::unexpected(previous.error());
  auto lb = lb_from_registration(body, state.node, zones, id);
  if (!lb) return tl::unexpected(lb.error());
  // Attachments and status have endpoints of their own.
  lb->groups = previous->groups;
  lb->default_group = previous->default_group;
  if (!body.contains("status")) lb->status = previous->status;
  Outcome outcome{state, {{"id", id}, {"appliance_id", id}}};
  put(outcome.next, std::move(*lb));
  return outcome;
}

Result<Outcome> set_status(const State& state, LbId id, const Json& body) {
  auto lb = find_lb(state, id);
  if (!lb) return tl::unexpected(lb.error());
  std::vector<Problem> problems;
  rules::FieldReader fields(body, "", problems);
  if (const auto status = fields.text("status")) {
    if (auto parsed = fields.take("status", rules::parse_status(*status))) lb->status = *parsed;
  } else if (!fields.has("status")) {
    fields.problem("status", "missing: Running, Creating, Powered off, …");
  }
  if (!problems.empty()) return fail(rules::refusal(std::move(problems)));
  Outcome outcome{state, {{"id", id}, {"status", to_string(lb->status)}}};
  put(outcome.next, std::move(*lb));
  return outcome;
}

Result<Outcome> delete_lb(const State& state, LbId id) {
  const auto lb = find_lb(state, id);
  if (!lb) return tl::unexpected(lb.error());
  Outcome outcome{state, {{"id", id}, {"name", lb->name}}};
  outcome.next.node.load_balancers.erase(id);
  return outcome;
}

}  // namespace sluice::control
