// SPDX-License-Identifier: Apache-2.0
//
// What a load balancer is to control: its status table, its registration, its JSON.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "control/state.h"
#include "rules/json.h"

namespace sluice::control {

// Attach, detach and review: Running and Backend Connection Failure only (SEMANTICS §3).
[[nodiscard]] bool may_change_attachments(rules::LbStatus status);

// A registration as the LB controller sends it (API.md, POST /appliances/load-balancers/), checked
// against the node: zone, addresses, VPCs. `replaces`: the LB's id where it is an update, else 0.
// Attachments are not part of it. Errors: invalid or conflict, every problem.
[[nodiscard]] rules::Result<rules::LoadBalancer> lb_from_registration(
    const rules::Json& json, const rules::Node& node, std::span<const std::string> zones,
    rules::LbId replaces);

// As it is stored.
[[nodiscard]] rules::Json stored_lb_to_json(const rules::LoadBalancer& lb);
[[nodiscard]] rules::Result<rules::LoadBalancer> stored_lb_from_json(const rules::Json& json);

// As GET /appliances/ shows it.
[[nodiscard]] rules::Json lb_to_json(const rules::LoadBalancer& lb, const rules::Node& node);
// As GET /nodes/{id}/ shows it.
[[nodiscard]] rules::Json lb_to_node_json(const rules::LoadBalancer& lb);

[[nodiscard]] bool is_attached(const rules::LoadBalancer& lb, rules::GroupId group);

}  // namespace sluice::control
