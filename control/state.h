// SPDX-License-Identifier: Apache-2.0
//
// All that the node knows and enforces, as one immutable value. Successive states share what a
// change does not touch.
#pragma once

#include <cstdint>
#include <memory>

#include "rules/model.h"

namespace sluice::control {

struct State {
  rules::Node node;
  // Ids are never used twice, also after a delete and a restart.
  rules::GroupId next_group = 1;
  rules::RuleId next_rule = 1;
  rules::LbId next_lb = 1;
  rules::VpcId next_vpc = 1;
  std::uint64_t generation = 0;
};

using StatePtr = std::shared_ptr<const State>;

// What a node that was never started before begins with: the built-in groups.
[[nodiscard]] State first_state();

}  // namespace sluice::control
