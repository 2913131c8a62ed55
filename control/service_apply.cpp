// SPDX-License-Identifier: Apache-2.0
#include "control/service_apply.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/change_options.h"
#include "control/load_balancer.h"
#include "control/plan.h"
#include "rules/node_json.h"
#include "rules/validate.h"

namespace sluice::control {
namespace {

using rules::ErrorCode;
using rules::fail;
using rules::GroupId;
using rules::Json;
using rules::LoadBalancer;
using rules::NodeReading;
using rules::Problem;
using rules::Result;

// What every change takes beside itself is read by who asks for the change (change_options.h); the
// rest of the body is the document.
Json without_options(Json body) {
  if (body.is_object())
    for (const char* name : kChangeOptions) body.erase(name);
  return body;
}

// What is well-formed and yet must not be, each as the call that would do it alone would say.
class Conflicts {
 public:
  Conflicts(const rules::Node& before, const NodeReading& reading)
      : before_(before), after_(reading.after.node), reading_(reading) {}

  std::vector<Problem> find() {
    check_account_default();
    check_named_vpcs();
    for (const auto& [id, lb] : after_.load_balancers) {
      const auto old = before_.load_balancers.find(id);
      if (old != before_.load_balancers.end()) check_default(*old->second, *lb);
      if (old != before_.load_balancers.end()) check_status(*old->second, *lb);
      check_groups_exist(*lb);
    }
    return std::move(problems_);
  }

 private:
  [[nodiscard]] std::string place(const LoadBalancer& lb, const char* field,
                                  const char* otherwise) const {
    const auto at = reading_.lb_place.find(lb.id);
    return at == reading_.lb_place.end() ? otherwise
                                         : fmt::format("load_balancers[{}].{}", at->second, field);
  }
  [[nodiscard]] std::string name_of(GroupId id) const {
    const auto group = before_.groups.find(id);
    return group == before_.groups.end() ? fmt::format("{}", id) : group->second->name;
  }

  void check_account_default() {
    const GroupId id = after_.account_default_group;
    if (after_.groups.contains(id)) return;
    problems_.push_back({"security_groups",
                         fmt::format("\"{}\" is the account's default group; name it, or another "
                                     "as default_group",
                                     name_of(id))});
  }

  // The section of groups was read with the VPCs to come; groups left alone were not.
  void check_named_vpcs() {
    for (const auto& [id, group] : after_.groups) {
      const auto dangling =
          std::find_if(group->rules.begin(), group->rules.end(), [&](const rules::Rule& rule) {
            return rule.network.type == rules::NetworkType::my_network && rule.network.vpc != 0 &&
                   !after_.vpcs.contains(rule.network.vpc);
          });
      if (dangling == group->rules.end()) continue;
      problems_.push_back(
          {"vpcs", fmt::format("a rule of group {} names VPC {}; name it here, or change the group",
                               group->name, before_.vpcs.at(dangling->network.vpc)->name)});
    }
  }

  void check_default(const LoadBalancer& old, const LoadBalancer& lb) {
    if (lb.default_group != old.default_group) {
      problems_.push_back(
          {place(lb, "default_group", "load_balancers"),
           fmt::format("the default group of {} is recorded at its creation (\"{}\")"
                       " and does not change",
                       lb.name, name_of(old.default_group))});
    } else if (old.default_group != 0 && !is_attached(lb, old.default_group)) {
      problems_.push_back(
          {place(lb, "security_groups", "load_balancers"),
           fmt::format("\"{}\" is the default group of load balancer {} and cannot be detached",
                       name_of(old.default_group), lb.name)});
    }
  }

  void check_status(const LoadBalancer& old, const LoadBalancer& lb) {
    if (old.groups == lb.groups || may_change_attachments(old.status) ||
        may_change_attachments(lb.status))
      return;
    problems_.push_back(
        {place(lb, "security_groups", "load_balancers"),
         fmt::format("load balancer {} is {}: security groups can be attached and detached only "
                     "while it is Running or in Backend Connection Failure",
                     lb.name, to_string(old.status))});
  }

  void check_groups_exist(const LoadBalancer& lb) {
    for (GroupId id : lb.groups) {
      if (after_.groups.contains(id)) continue;
      problems_.push_back(
          {place(lb, "security_groups", "security_groups"),
           fmt::format("\"{}\" is attached to load balancer {}; name it in security_groups, or "
                       "detach it",
                       name_of(id), lb.name)});
    }
  }

  const rules::Node& before_;
  const rules::Node& after_;
  const NodeReading& reading_;
  std::vector<Problem> problems_;
};

rules::NodeBase base_of(const State& state, std::span<const std::string> zones) {
  return {state.node,    state.next_group, state.next_rule,
          state.next_lb, state.next_vpc,   {zones.begin(), zones.end()}};
}

State state_of(const State& before, rules::NodeBase base) {
  State next = before;
  next.node = std::move(base.node);
  next.next_group = base.next_group;
  next.next_rule = base.next_rule;
  next.next_lb = base.next_lb;
  next.next_vpc = base.next_vpc;
  return next;
}

}  // namespace

Result<Outcome> apply_document(const State& state, const Json& body,
                               std::span<const std::string> zones) {
  NodeReading reading = rules::read_node(without_options(body), base_of(state, zones));
  std::vector<Problem> problems = std::move(reading.problems);
  const bool is_invalid = !problems.empty();
  for (Problem& problem : Conflicts(state.node, reading).find())
    problems.push_back(std::move(problem));
  if (!problems.empty())
    return fail(
        rules::refusal(std::move(problems), is_invalid ? ErrorCode::invalid : ErrorCode::conflict));

  Json plan = plan_to_json(plan_between(state.node, reading.after.node));
  Outcome outcome{state, {}};
  outcome.is_answer_only = plan.empty();
  outcome.next = state_of(state, std::move(reading.after));
  outcome.answer = {{"plan", std::move(plan)},
                    {"ignored", reading.settings.empty() ? Json::array() : Json{"settings"}}};
  return outcome;
}

Json export_document(const State& state) {
  return rules::node_to_json(state.node);
}

}  // namespace sluice::control
