// SPDX-License-Identifier: Apache-2.0
//
// All that the node knows and enforces, as one immutable value. Successive states share what a
// change does not touch.
#pragma once

#include <cstdint>
#include <memory>

#include "control/wall_clock.h"
#include "rules/model.h"

namespace sluice::control {

struct PendingChange;  // undo.h

using ChangeId = std::uint32_t;  // 0 is no change

// A group attached to an LB.
struct Attachment {
  rules::LbId lb = 0;
  rules::GroupId group = 0;
  auto operator<=>(const Attachment&) const = default;
};

struct State {
  rules::Node node;
  // Attachments that the node itself will take back, and when.
  rules::SharedMap<Attachment, UnixMs> expiries;
  // Changes that roll back by themselves unless they are confirmed in time.
  rules::SharedMap<ChangeId, std::shared_ptr<const PendingChange>> pending;
  // Ids are never used twice, also after a delete and a restart.
  rules::GroupId next_group = 1;
  rules::RuleId next_rule = 1;
  rules::LbId next_lb = 1;
  rules::VpcId next_vpc = 1;
  ChangeId next_change = 1;
  std::uint64_t generation = 0;
};

using StatePtr = std::shared_ptr<const State>;

// What a node that was never started before begins with: the built-in groups.
[[nodiscard]] State first_state();

}  // namespace sluice::control
