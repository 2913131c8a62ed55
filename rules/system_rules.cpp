// SPDX-License-Identifier: Apache-2.0
#include "rules/system_rules.h"

#include <fmt/format.h>

#include "rules/validate.h"

namespace sluice::rules {
namespace {

// Nothing of a protocol would be left to the tenants.
bool is_whole_protocol(const Rule& rule) {
  switch (rule.protocol.kind) {
    case ProtocolKind::all:
    case ProtocolKind::all_tcp:
    case ProtocolKind::all_udp:
      return true;
    case ProtocolKind::custom_tcp:
    case ProtocolKind::custom_udp:
    case ProtocolKind::sctp:
      return rule.ports.is_all();
    case ProtocolKind::icmp:
    case ProtocolKind::icmpv6:
      return !rule.icmp_type;
    case ProtocolKind::number:
      break;
  }
  return rule.protocol.number == kProtocolIcmp;
}

class SystemRulesReader {
 public:
  Result<std::shared_ptr<const SystemRules>> read(const Json& json, const SystemRules* previous) {
    const bool is_list = json.is_array();
    if (json.is_object()) FieldReader(json, "", problems_).refuse_others({"system_rules"});
    const Json list = is_list ? json : json.is_object() ? json.value("system_rules", Json()) : json;
    if (!list.is_array()) {
      problems_.push_back({is_list ? "" : "system_rules", "must be a list of rules"});
      return fail(refusal(std::move(problems_)));
    }
    if (list.size() > kSystemRulesMax)
      problems_.push_back({"", fmt::format("more than {} rules", kSystemRulesMax)});
    for (std::size_t i = 0; i < list.size() && problems_.size() < kSystemRulesMax; ++i)
      read_rule(list[i], fmt::format("{}[{}]", is_list ? "" : "system_rules", i));
    if (!problems_.empty()) return fail(refusal(std::move(problems_)));
    return finish(previous);
  }

 private:
  static constexpr std::size_t kSystemRulesMax = 1000;

  void read_rule(const Json& json, const std::string& where) {
    Json plain = json;
    if (plain.is_object()) plain.erase("reserve");
    auto rule = rule_from_json(plain, {}, where, problems_);
    FieldReader fields(json, where + ".", problems_);
    const auto reserve = fields.boolean("reserve");
    if (!rule) return;
    rule->id = 0;
    const bool is_inbound = rule->direction == Direction::inbound;
    if (!fields.has("reserve") && is_inbound && is_whole_protocol(*rule)) {
      fields.problem("reserve",
                     fmt::format("missing: true takes {} away from the groups of every load "
                                 "balancer, false leaves it to them as well",
                                 rule->protocol.kind == ProtocolKind::all
                                     ? "every service"
                                     : "all of " + to_string(rule->protocol)));
    }
    reserves_.push_back(reserve.value_or(is_inbound));
    rules_.push_back(std::move(*rule));
  }

  Result<std::shared_ptr<const SystemRules>> finish(const SystemRules* previous) {
    auto system = std::make_shared<SystemRules>();
    Group& group = system->group;
    group.id = kSystemGroupId;
    group.name = kSystemGroupName;
    group.description = "Rules of the node itself";
    group.rules = std::move(rules_);
    RuleId next = kSystemRuleIdMin;
    if (previous != nullptr)
      for (const Rule& rule : previous->group.rules) next = std::max(next, rule.id + 1);
    keep_identities(previous == nullptr ? nullptr : &previous->group, group, next);
    for (std::size_t i = 0; i < group.rules.size(); ++i)
      if (reserves_[i]) system->reserving.insert(group.rules[i].id);
    return system;
  }

  std::vector<Problem> problems_;
  std::vector<Rule> rules_;
  std::vector<bool> reserves_;
};

}  // namespace

Result<std::shared_ptr<const SystemRules>> system_rules_from_json(const Json& json,
                                                                  const SystemRules* previous) {
  return SystemRulesReader().read(json, previous);
}

Json system_rules_to_json(const SystemRules& rules) {
  Json json = Json::array();
  for (const Rule& rule : rules.group.rules) {
    json.push_back(rule_to_json(rule));
    json.back()["reserve"] = rules.reserving.contains(rule.id);
  }
  return json;
}

std::string group_name(const Node& node, GroupId id) {
  if (id == kSystemGroupId) return std::string(kSystemGroupName);
  const auto group = node.groups.find(id);
  return group == node.groups.end() ? std::string() : group->second->name;
}

}  // namespace sluice::rules
