// SPDX-License-Identifier: Apache-2.0
#include "rules/builtin_groups.h"

namespace sluice::rules {
namespace {

constexpr std::string_view kDefaultName = "default", kAllowAllName = "Allow-All-Traffic";

Rule any_rule(RuleId id, Direction direction, ProtocolKind kind, PortSet ports = {}) {
  Rule rule;
  rule.id = id;
  rule.direction = direction;
  rule.protocol.kind = kind;
  rule.ports = std::move(ports);
  return rule;
}

}  // namespace

std::array<Group, 2> builtin_groups() {
  Group standard;
  standard.id = kDefaultGroupId;
  standard.name = kDefaultName;
  standard.description = "Attached to every load balancer at its creation";
  standard.rules = {
      any_rule(1, Direction::inbound, ProtocolKind::custom_tcp, {{{80, 80}}}),
      any_rule(2, Direction::inbound, ProtocolKind::custom_tcp, {{{443, 443}}}),
      any_rule(3, Direction::inbound, ProtocolKind::icmp),
      any_rule(4, Direction::outbound, ProtocolKind::all),
  };
  Group open;
  open.id = kAllowAllGroupId;
  open.name = kAllowAllName;
  open.description = "Allows all traffic, to isolate a problem; detach it afterwards";
  open.is_all_traffic_rule = true;
  open.rules = {
      any_rule(5, Direction::inbound, ProtocolKind::all),
      any_rule(kBuiltinRuleIdMax, Direction::outbound, ProtocolKind::all),
  };
  return {standard, open};
}

bool is_builtin_group(std::string_view name) {
  return name == kDefaultName || name == kAllowAllName;
}

}  // namespace sluice::rules
