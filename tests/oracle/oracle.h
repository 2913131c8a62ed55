// SPDX-License-Identifier: Apache-2.0
//
// The naive twin of the table: a loop over rules, written from SEMANTICS §2. Shares with the table
// the model and nothing else.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "rules/packet_key.h"

namespace sluice::oracle {

// Does one rule allow the packet? (direction, protocol, service, remote)
[[nodiscard]] bool allows(const rules::Rule& rule, const rules::Node& node,
                          const rules::PacketKey& packet);

// The rules of an LB in the order in which they are asked who allowed a packet.
using LbRules = std::vector<std::pair<rules::GroupId, const rules::Rule*>>;
[[nodiscard]] LbRules rules_of(const rules::LoadBalancer& lb, const rules::Node& node);
[[nodiscard]] std::optional<rules::RuleRef> rule_of(const LbRules& lb, const rules::Node& node,
                                                    const rules::PacketKey& packet);

// Of the system rules, then the groups attached to the LB: the first rule that allows, by group id,
// then order.
[[nodiscard]] std::optional<rules::RuleRef> rule_of(const rules::LoadBalancer& lb,
                                                    const rules::Node& node,
                                                    const rules::PacketKey& packet);

}  // namespace sluice::oracle
