// SPDX-License-Identifier: Apache-2.0
//
// The rules of the node itself: monitoring, control channel, VRRP, BFD. They come from the node's
// configuration, hold for every load balancer beside its groups, and are no tenant's to change.
//
// A rule that reserves takes its service (protocol and port, ICMP type, protocol number; in its
// direction) out of every tenant's rules, from and to all networks: the system rules alone decide
// it. So what a reserving rule opens to some networks, no group opens to others, nor closes.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "rules/json.h"

namespace sluice::rules {

// Ids and a name that no tenant's group or rule has.
inline constexpr GroupId kSystemGroupId = UINT32_MAX;
inline constexpr RuleId kSystemRuleIdMin = 0xff00'0000;
inline constexpr std::string_view kSystemGroupName = "system";

struct SystemRules {
  Group group;                 // as the table names it where one of its rules allows a packet
  std::set<RuleId> reserving;  // of its rules
  bool operator==(const SystemRules&) const = default;
};

// A list of rules as of a group, each with an optional `reserve`; or {"system_rules": [...]}.
// Networks are `any` or addresses: VPCs are the tenants'. `reserve` is by default true inbound,
// where the port is the load balancer's own, and false outbound, where it is somebody else's; an
// inbound rule that covers all of TCP, UDP, SCTP, ICMP or everything must say. Rules that are in
// `previous` (null: none) keep their ids. Error: invalid, every problem.
[[nodiscard]] Result<std::shared_ptr<const SystemRules>> system_rules_from_json(
    const Json& json, const SystemRules* previous);

// The rules with `reserve`.
[[nodiscard]] Json system_rules_to_json(const SystemRules& rules);

// The name of the group that a verdict tells; empty: there is none of that id.
[[nodiscard]] std::string group_name(const Node& node, GroupId id);

}  // namespace sluice::rules
