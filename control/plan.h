// SPDX-License-Identifier: Apache-2.0
//
// The difference of two versions of a node, as people read it: what is created, updated and
// deleted, and what of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rules/json.h"

namespace sluice::control {

enum class PlanOp : std::uint8_t { create, update, remove };

struct PlanDetail {
  PlanOp op = PlanOp::update;
  std::string what;  // "rule", "attachment", "address", "status", …
  std::string text;
};

struct PlanStep {
  PlanOp op = PlanOp::update;
  std::string kind;  // "vpc", "security_group", "default_group", "load_balancer"
  std::uint32_t id = 0;
  std::string name;
  std::vector<PlanDetail> details;
};

// VPCs, groups, the account's default group, load balancers; by id. Empty: nothing differs.
[[nodiscard]] std::vector<PlanStep> plan_between(const rules::Node& before,
                                                 const rules::Node& after);

// [{op: create|update|delete, kind, id, name, details: [{op, what, text}]}]
[[nodiscard]] rules::Json plan_to_json(const std::vector<PlanStep>& plan);

// A plan as lines of a diff, from its JSON: + created, - deleted, ~ updated; details indented.
struct PlanLine {
  char mark = '~';
  std::string text;
};
[[nodiscard]] std::vector<PlanLine> plan_lines(const rules::Json& plan);

// "Inbound Custom_TCP 22 from 10.0.0.0 size 256"
[[nodiscard]] std::string rule_text(const rules::Rule& rule, const rules::Node& node);

}  // namespace sluice::control
