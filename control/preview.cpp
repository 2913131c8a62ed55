// SPDX-License-Identifier: Apache-2.0
#include "control/preview.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "control/differences.h"
#include "control/endpoints.h"
#include "rules/service_axis.h"
#include "rules/validate.h"

namespace sluice::control {
namespace {

using rules::Direction;
using rules::Group;
using rules::GroupId;
using rules::Json;
using rules::LbId;
using rules::LoadBalancer;
using rules::Rule;

// A rule in force for an LB, by its id.
struct InForce {
  const Rule* rule = nullptr;
  const Group* group = nullptr;
};
using RulesInForce = std::map<rules::RuleId, InForce>;

RulesInForce rules_of(const State& state, const LoadBalancer* lb) {
  RulesInForce rules;
  if (lb == nullptr) return rules;
  for (GroupId id : lb->groups) {
    const Group& group = *state.node.groups.at(id);
    for (const Rule& rule : group.rules) rules[rule.id] = {&rule, &group};
  }
  return rules;
}

// Does a rule let TCP to that port in?
bool lets_in(const Rule& rule, std::uint16_t port) {
  using rules::ProtocolKind;
  if (rule.direction != Direction::inbound) return false;
  switch (rule.protocol.kind) {
    case ProtocolKind::all:
    case ProtocolKind::all_tcp:
      return true;
    case ProtocolKind::custom_tcp:
      return std::any_of(
          rule.ports.ranges.begin(), rule.ports.ranges.end(),
          [&](const auto& range) { return range.first <= port && port <= range.last; });
    case ProtocolKind::number:
      return rule.protocol.number == rules::kProtocolTcp;
    default:
      return false;
  }
}

enum class Reach { none, some, all };

Reach reach_of(const RulesInForce& rules, std::uint16_t port) {
  Reach reach = Reach::none;
  for (const auto& [id, in_force] : rules)
    if (lets_in(*in_force.rule, port))
      reach = std::max(
          reach, in_force.rule->network.type == rules::NetworkType::any ? Reach::all : Reach::some);
  return reach;
}

// The whole comparison, one LB after the other.
class Comparison {
 public:
  explicit Comparison(const PreviewOf& of) : of_(of) { find_changed(); }

  Json run() {
    std::set<LbId> ids;
    for (const auto& [id, lb] : of_.before.node.load_balancers) ids.insert(id);
    for (const auto& [id, lb] : of_.after.node.load_balancers) ids.insert(id);
    for (const LbId id : ids) compare(lb_in(of_.before, id), lb_in(of_.after, id));
    return {{"dry_run", true},
            {"rules",
             {{"begin", std::move(begin_)},
              {"begin_total", begin_total_},
              {"cease", std::move(cease_)},
              {"cease_total", cease_total_}}},
            {"unreachable",
             {{"listeners", std::move(listeners_)}, {"backends", std::move(backends_)}}}};
  }

 private:
  static const LoadBalancer* lb_in(const State& state, LbId id) {
    const auto found = state.node.load_balancers.find(id);
    return found == state.node.load_balancers.end() ? nullptr : found->second.get();
  }

  void find_changed() {
    each_difference(of_.before.node.vpcs, of_.after.node.vpcs,
                    [&](auto id, const auto*, const auto*) { changed_vpcs_.insert(id); });
    each_difference(of_.before.node.groups, of_.after.node.groups,
                    [&](auto id, const auto*, const auto*) { changed_groups_.insert(id); });
    if (changed_vpcs_.empty()) return;
    for (const auto& [id, group] : of_.after.node.groups)
      if (std::any_of(group->rules.begin(), group->rules.end(),
                      [&](const Rule& rule) { return names_changed_vpc(rule); }))
        changed_groups_.insert(id);
  }
  [[nodiscard]] bool names_changed_vpc(const Rule& rule) const {
    return rule.network.type == rules::NetworkType::my_network &&
           changed_vpcs_.contains(rule.network.vpc);
  }
  [[nodiscard]] bool is_concerned(const LoadBalancer* before, const LoadBalancer* after) const {
    if (before == nullptr || after == nullptr || before->groups != after->groups) return true;
    return std::any_of(after->groups.begin(), after->groups.end(),
                       [&](GroupId id) { return changed_groups_.contains(id); }) ||
           before->registration != after->registration;
  }

  void compare(const LoadBalancer* before, const LoadBalancer* after) {
    if (!is_concerned(before, after)) return;
    const RulesInForce old = rules_of(of_.before, before), now = rules_of(of_.after, after);
    for (const auto& [id, in_force] : old)
      if (!is_in(now, in_force)) add(cease_, cease_total_, *before, in_force);
    for (const auto& [id, in_force] : now)
      if (!is_in(old, in_force)) add(begin_, begin_total_, *after, in_force);
    if (before == nullptr) return;
    const Endpoints endpoints = endpoints_of(after == nullptr ? *before : *after);
    for (const std::uint16_t port : endpoints.listeners) compare_listener(*before, port, old, now);
    if (after != nullptr) compare_backends(*before, *after, endpoints);
  }

  // The same rule with the same meaning.
  [[nodiscard]] bool is_in(const RulesInForce& rules, const InForce& in_force) const {
    const auto found = rules.find(in_force.rule->id);
    return found != rules.end() && found->second.rule->same_match(*in_force.rule) &&
           !names_changed_vpc(*in_force.rule);
  }

  static void add(Json& list, std::size_t& total, const LoadBalancer& lb, const InForce& in_force) {
    if (++total > kPreviewItemsMax) return;
    list.push_back({{"load_balancer", lb.id},
                    {"load_balancer_name", lb.name},
                    {"direction", to_string(in_force.rule->direction)},
                    {"security_group", in_force.group->id},
                    {"security_group_name", in_force.group->name},
                    {"rule", rules::rule_to_json(*in_force.rule)}});
  }

  void compare_listener(const LoadBalancer& lb, std::uint16_t port, const RulesInForce& old,
                        const RulesInForce& now) {
    const Reach before = reach_of(old, port), after = reach_of(now, port);
    if (after >= before || listeners_.size() == kPreviewItemsMax) return;
    listeners_.push_back({{"load_balancer", lb.id},
                          {"load_balancer_name", lb.name},
                          {"protocol", "TCP"},
                          {"port", port},
                          {"reached_by", after == Reach::none ? "nobody" : "some networks only"}});
  }

  // May the LB open a TCP connection to the backend, by that table?
  [[nodiscard]] bool reaches(const rules::Table& table, const LoadBalancer& lb,
                             const Backend& backend) const {
    const auto zone = std::find(of_.zones.begin(), of_.zones.end(), lb.zone);
    const bool is_first = lb.zone.empty() || zone == of_.zones.end();
    const auto index = static_cast<std::uint16_t>(is_first ? 0 : zone - of_.zones.begin());
    if (lb.addresses.empty()) return false;
    const rules::LbMatch match = table.find_lb(index, lb.addresses[0].address);
    if (match.lb != lb.id) return false;
    return table.allows({backend.address, match.policy,
                         rules::service_point(rules::kProtocolTcp, backend.port).number,
                         rules::kProtocolTcp, Direction::outbound});
  }

  void compare_backends(const LoadBalancer& before, const LoadBalancer& after,
                        const Endpoints& endpoints) {
    for (const Backend& backend : endpoints.backends) {
      if (!reaches(of_.now, before, backend) || reaches(of_.then, after, backend)) continue;
      if (backends_.size() == kPreviewItemsMax) return;
      backends_.push_back({{"load_balancer", after.id},
                           {"load_balancer_name", after.name},
                           {"protocol", "TCP"},
                           {"backend_name", backend.name},
                           {"backend_ip", to_string(backend.address)},
                           {"backend_port", backend.port}});
    }
  }

  const PreviewOf& of_;
  std::set<rules::VpcId> changed_vpcs_;
  std::set<GroupId> changed_groups_;  // themselves, or by a VPC that they name
  Json begin_ = Json::array(), cease_ = Json::array();
  std::size_t begin_total_ = 0, cease_total_ = 0;
  Json listeners_ = Json::array(), backends_ = Json::array();
};

}  // namespace

Json preview_to_json(const PreviewOf& preview) {
  return Comparison(preview).run();
}

}  // namespace sluice::control
