// SPDX-License-Identifier: Apache-2.0
//
// The `settings` of a node document: what the daemon takes from its options.
#pragma once

#include <string>
#include <vector>

#include "dataplane/snapshot.h"
#include "rules/system_rules.h"

namespace sluice::control::cli {

struct NodeSettings {
  dataplane::Settings plane;
  std::uint32_t flows_max = 1u << 16;
  // Index = zone index; the names that load balancers use.
  std::vector<std::string> zones;
  std::vector<std::uint16_t> vlans;                        // of each zone; 0: untagged
  std::shared_ptr<const rules::SystemRules> system_rules;  // null: none
};

// {pass_unknown_addresses, allow_ip_options, flows_max, timeouts:{tcp_opening_s, …},
// system_rules:[…], pass_dhcp, zones:[{name, vlan}]}. Without zones: one, untagged, with the name
// the load balancers use. Errors: invalid; an unknown setting is refused by its name.
[[nodiscard]] rules::Result<NodeSettings> settings_from_json(const rules::Json& json,
                                                             const rules::Node& node);

}  // namespace sluice::control::cli
