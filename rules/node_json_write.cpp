// SPDX-License-Identifier: Apache-2.0
//
// A node as a document.
#include <algorithm>

#include "rules/builtin_groups.h"
#include "rules/node_json.h"
#include "rules/validate.h"

namespace sluice::rules {
namespace {

// The values of a map id -> pointer by name.
template <class Map>
auto by_name(const Map& map) {
  std::vector<typename Map::value_type::second_type> values;
  for (const auto& [id, value] : map) values.push_back(value);
  std::sort(values.begin(), values.end(),
            [](const auto& a, const auto& b) { return a->name < b->name; });
  return values;
}

Json vpc_document(const Vpc& vpc) {
  Json cidrs = Json::array();
  for (const Prefix& prefix : vpc.prefixes) cidrs.push_back(to_string(prefix));
  return {{"vpc_name", vpc.name}, {"cidrs", std::move(cidrs)}};
}

// Without what only this node knows (ids) and what says nothing.
Json rule_document(const Rule& rule, const Node& node) {
  Json json = rule_to_json(rule);
  json.erase("id");
  if (rule.network.type != NetworkType::manual) {
    json.erase("network_cidr");
    json.erase("network_size");
  }
  if (rule.network.type == NetworkType::my_network) {
    const auto vpc = node.vpcs.find(rule.network.vpc);
    if (vpc != node.vpcs.end()) json["vpc_id"] = vpc->second->name;
  }
  if (rule.description.empty()) json.erase("description");
  for (const char* name : {"vpc_id", "icmp_type", "icmp_code"})
    if (json[name].is_null()) json.erase(name);
  return json;
}

Json group_document(const Group& group, const Node& node) {
  Json rules = Json::array();
  for (const Rule& rule : group.rules) rules.push_back(rule_document(rule, node));
  Json json{{"name", group.name}, {"description", group.description}, {"rules", std::move(rules)}};
  // Of a built-in one, what is not said would be left as it is.
  if (group.is_all_traffic_rule || is_builtin_group(group.name))
    json["is_all_traffic_rule"] = group.is_all_traffic_rule;
  return json;
}

Json lb_document(const LoadBalancer& lb, const Node& node) {
  Json addresses = Json::array(), groups = Json::array();
  for (const LbAddress& owned : lb.addresses)
    addresses.push_back({{"address", to_string(owned.address)}, {"kind", to_string(owned.kind)}});
  for (GroupId id : lb.groups)
    if (const auto group = node.groups.find(id); group != node.groups.end())
      groups.push_back(group->second->name);
  Json json{{"name", lb.name},
            {"status", to_string(lb.status)},
            {"addresses", std::move(addresses)},
            {"security_groups", std::move(groups)}};
  if (!lb.zone.empty()) json["zone"] = lb.zone;
  if (const auto group = node.groups.find(lb.default_group); group != node.groups.end())
    json["default_group"] = group->second->name;
  if (const auto registration = parse_json(lb.registration); registration && !registration->empty())
    json["registration"] = *registration;
  return json;
}

}  // namespace

Json node_to_json(const Node& node) {
  Json vpcs = Json::array(), groups = Json::array(), lbs = Json::array();
  for (const auto& vpc : by_name(node.vpcs)) vpcs.push_back(vpc_document(*vpc));
  for (const auto& group : by_name(node.groups)) groups.push_back(group_document(*group, node));
  for (const Group& builtin : builtin_groups())
    if (!std::any_of(node.groups.begin(), node.groups.end(),
                     [&](const auto& entry) { return entry.second->name == builtin.name; }))
      groups.push_back({{"name", builtin.name}, {"absent", true}});
  for (const auto& lb : by_name(node.load_balancers)) lbs.push_back(lb_document(*lb, node));
  Json json{{"vpcs", std::move(vpcs)},
            {"security_groups", std::move(groups)},
            {"load_balancers", std::move(lbs)}};
  const auto standard = node.groups.find(node.account_default_group);
  if (standard != node.groups.end()) json["default_group"] = standard->second->name;
  return json;
}

}  // namespace sluice::rules
