// SPDX-License-Identifier: Apache-2.0
#include "control/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "rules/printable.h"
#include "rules/validate.h"

namespace sluice::control {
namespace {

using rules::Group;
using rules::GroupId;
using rules::Json;
using rules::LoadBalancer;
using rules::Node;
using rules::Rule;
using rules::Vpc;
using Details = std::vector<PlanDetail>;

std::string_view to_string(PlanOp op) {
  switch (op) {
    case PlanOp::create:
      return "create";
    case PlanOp::update:
      return "update";
    case PlanOp::remove:
      return "delete";
  }
  return "";
}

void note_change(Details& details, const char* what, std::string_view before,
                 std::string_view after) {
  if (before == after) return;
  details.push_back({PlanOp::update, what, fmt::format("{}: {} -> {}", what, before, after)});
}

// What is in only one of two lists.
template <class Item, class Text>
void note_members(Details& details, const char* what, const std::vector<Item>& before,
                  const std::vector<Item>& after, Text text) {
  const auto lacks = [](const std::vector<Item>& items, const Item& item) {
    return std::find(items.begin(), items.end(), item) == items.end();
  };
  for (const Item& item : before)
    if (lacks(after, item))
      details.push_back({PlanOp::remove, what, fmt::format("{} {}", what, text(item))});
  for (const Item& item : after)
    if (lacks(before, item))
      details.push_back({PlanOp::create, what, fmt::format("{} {}", what, text(item))});
}

// The node of two versions, and who looks up names in which.
struct Versions {
  const Node& before;
  const Node& after;
};

Details compare(const Vpc& before, const Vpc& after, const Versions&) {
  Details details;
  note_change(details, "name", before.name, after.name);
  note_members(details, "prefix", before.prefixes, after.prefixes,
               [](const rules::Prefix& prefix) { return rules::to_string(prefix); });
  return details;
}

std::vector<rules::RuleId> order_of(const Group& group, const std::map<rules::RuleId, int>& both) {
  std::vector<rules::RuleId> order;
  for (const Rule& rule : group.rules)
    if (const auto found = both.find(rule.id); found != both.end() && found->second == 2)
      order.push_back(rule.id);
  return order;
}

void compare_rules(const Group& before, const Group& after, const Versions& nodes,
                   Details& details) {
  std::map<rules::RuleId, const Rule*> old;
  std::map<rules::RuleId, int> seen;
  for (const Rule& rule : before.rules) old[rule.id] = &rule, ++seen[rule.id];
  for (const Rule& rule : after.rules) ++seen[rule.id];
  for (const Rule& rule : before.rules)
    if (seen[rule.id] == 1)
      details.push_back({PlanOp::remove, "rule", "rule " + rule_text(rule, nodes.before)});
  for (const Rule& rule : after.rules) {
    const auto known = old.find(rule.id);
    if (known == old.end()) {
      details.push_back({PlanOp::create, "rule", "rule " + rule_text(rule, nodes.after)});
    } else if (!(*known->second == rule)) {
      details.push_back({PlanOp::update, "rule",
                         fmt::format("rule {} -> {}", rule_text(*known->second, nodes.before),
                                     rule_text(rule, nodes.after))});
    }
  }
  if (order_of(before, seen) != order_of(after, seen))
    details.push_back({PlanOp::update, "order", "the order of the rules"});
}

Details compare(const Group& before, const Group& after, const Versions& nodes) {
  Details details;
  note_change(details, "name", before.name, after.name);
  note_change(details, "description", rules::quote(before.description),
              rules::quote(after.description));
  note_change(details, "is_all_traffic_rule", before.is_all_traffic_rule ? "true" : "false",
              after.is_all_traffic_rule ? "true" : "false");
  compare_rules(before, after, nodes, details);
  return details;
}

std::string name_of(GroupId id, const Node& node) {
  const auto group = node.groups.find(id);
  return group == node.groups.end() ? fmt::format("{}", id) : group->second->name;
}

Details compare(const LoadBalancer& before, const LoadBalancer& after, const Versions& nodes) {
  Details details;
  note_change(details, "name", before.name, after.name);
  note_change(details, "status", rules::to_string(before.status), rules::to_string(after.status));
  note_change(details, "zone", before.zone, after.zone);
  note_members(details, "address", before.addresses, after.addresses,
               [](const rules::LbAddress& owned) {
                 return fmt::format("{} ({})", to_string(owned.address), to_string(owned.kind));
               });
  // A group that is gone has its name only in the version before.
  note_members(details, "attachment", before.groups, after.groups, [&](GroupId id) {
    return name_of(id, nodes.after.groups.contains(id) ? nodes.after : nodes.before);
  });
  if (before.default_group != after.default_group)
    note_change(details, "default_group", name_of(before.default_group, nodes.before),
                name_of(after.default_group, nodes.after));
  if (before.registration != after.registration)
    details.push_back({PlanOp::update, "registration", "registration"});
  if (details.empty() && !(before == after))
    details.push_back({PlanOp::update, "order", "the order of addresses or groups"});
  return details;
}

// The same without its members: what is new is told by them.
Vpc emptied(Vpc vpc) {
  vpc.prefixes.clear();
  return vpc;
}
Group emptied(Group group) {
  group.rules.clear();
  return group;
}
LoadBalancer emptied(LoadBalancer lb) {
  lb.addresses.clear();
  lb.groups.clear();
  return lb;
}

template <class Map>
void compare_maps(const char* kind, const Map& before, const Map& after, const Versions& nodes,
                  std::vector<PlanStep>& plan) {
  if (before.is_same(after)) return;
  for (const auto& [id, value] : before)
    if (!after.contains(id)) plan.push_back({PlanOp::remove, kind, id, value->name, {}});
  for (const auto& [id, value] : after) {
    const auto old = before.find(id);
    if (old == before.end()) {
      plan.push_back(
          {PlanOp::create, kind, id, value->name, compare(emptied(*value), *value, nodes)});
    } else if (old->second != value && !(*old->second == *value)) {
      plan.push_back({PlanOp::update, kind, id, value->name, compare(*old->second, *value, nodes)});
    }
  }
}

std::string network_text(const rules::Network& network, const Node& node) {
  switch (network.type) {
    case rules::NetworkType::any:
      return "any";
    case rules::NetworkType::manual:
      return fmt::format("{} size {}", to_string(network.range.first), size_text(network.range));
    case rules::NetworkType::my_network:
      break;
  }
  const auto vpc = node.vpcs.find(network.vpc);
  return vpc == node.vpcs.end() ? fmt::format("vpc_{}", network.vpc)
                                : fmt::format("VPC {}", vpc->second->name);
}

}  // namespace

std::string rule_text(const Rule& rule, const Node& node) {
  std::string text =
      fmt::format("{} {}", rules::to_string(rule.direction), rules::to_string(rule.protocol));
  if (has_ports(rule.protocol.kind)) text += ' ' + rules::to_string(rule.ports);
  if (rule.icmp_type) text += fmt::format(" type {}", *rule.icmp_type);
  if (rule.icmp_code) text += fmt::format(" code {}", *rule.icmp_code);
  text += rule.direction == rules::Direction::inbound ? " from " : " to ";
  text += network_text(rule.network, node);
  if (!rule.description.empty()) text += ' ' + rules::quote(rule.description);
  return text;
}

std::vector<PlanStep> plan_between(const Node& before, const Node& after) {
  std::vector<PlanStep> plan;
  const Versions nodes{before, after};
  compare_maps("vpc", before.vpcs, after.vpcs, nodes, plan);
  compare_maps("security_group", before.groups, after.groups, nodes, plan);
  if (before.account_default_group != after.account_default_group) {
    PlanStep step{PlanOp::update,
                  "default_group",
                  after.account_default_group,
                  name_of(after.account_default_group, after),
                  {}};
    note_change(step.details, "default_group", name_of(before.account_default_group, before),
                step.name);
    plan.push_back(std::move(step));
  }
  compare_maps("load_balancer", before.load_balancers, after.load_balancers, nodes, plan);
  return plan;
}

Json plan_to_json(const std::vector<PlanStep>& plan) {
  Json steps = Json::array();
  for (const PlanStep& step : plan) {
    Json details = Json::array();
    for (const PlanDetail& detail : step.details)
      details.push_back(
          {{"op", to_string(detail.op)}, {"what", detail.what}, {"text", detail.text}});
    steps.push_back({{"op", to_string(step.op)},
                     {"kind", step.kind},
                     {"id", step.id},
                     {"name", step.name},
                     {"details", std::move(details)}});
  }
  return steps;
}

std::vector<PlanLine> plan_lines(const Json& plan) {
  const auto text = [](const Json& json, const char* name) {
    const Json value = json.is_object() ? json.value(name, Json()) : Json();
    return value.is_string() ? value.get<std::string>() : std::string();
  };
  const auto mark = [&](const Json& json) {
    const std::string op = text(json, "op");
    return op == "create" ? '+' : op == "delete" ? '-' : '~';
  };
  std::vector<PlanLine> lines;
  for (const Json& step : plan) {
    std::string kind = text(step, "kind");
    std::replace(kind.begin(), kind.end(), '_', ' ');
    lines.push_back({mark(step), fmt::format("{} {}", kind, text(step, "name"))});
    for (const Json& detail : step.value("details", Json::array()))
      lines.push_back({mark(detail), "    " + text(detail, "text")});
  }
  return lines;
}

}  // namespace sluice::control
