// SPDX-License-Identifier: Apache-2.0
//
// What a change touched and how it was before, so that this change alone can be taken back, also
// after others.
//
// While a change awaits its confirmation, what it touched belongs to it: other changes to the same
// attachments, groups, VPCs and registrations are refused until it is confirmed or rolled back, and
// so are those after which it could not be rolled back (a group that it detached is deleted, a name
// that it gave up is taken). So a rollback restores exactly what the change touched, nothing else,
// and cannot fail. The status of an LB is reported, not changed, and is never rolled back.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "control/state.h"
#include "rules/json.h"

namespace sluice::control {

template <class Id, class Value>
struct Before {
  Id id = 0;
  std::shared_ptr<const Value> value;  // null: the change created it
};

struct AttachmentBefore {
  Attachment attachment;
  bool was_attached = false;
  std::size_t place = 0;                  // among the LB's groups, where it was attached
  std::optional<UnixMs> expires_at = {};  // likewise
};

struct Undo {
  std::vector<Before<rules::VpcId, rules::Vpc>> vpcs;
  std::vector<Before<rules::GroupId, rules::Group>> groups;
  // Of an LB that stays: its registration (name, zone, addresses). Of one that the change deleted:
  // all of it, `expiries` included.
  std::vector<Before<rules::LbId, rules::LoadBalancer>> load_balancers;
  std::vector<AttachmentBefore> attachments;
  std::optional<rules::GroupId> account_default_group;
};

// A change that rolls back by itself at `confirm_by`.
struct PendingChange {
  ChangeId id = 0;
  std::uint64_t generation = 0;  // that put it in force
  UnixMs made_at = 0;
  UnixMs confirm_by = 0;
  std::string actor;
  std::string what;  // "POST /security_group/3/attach"
  Undo undo;
};

[[nodiscard]] Undo difference(const State& before, const State& after);

// Names of what is touched: "security group 5", "load balancer 3", "attachment of group 5 to load
// balancer 3".
[[nodiscard]] std::vector<std::string> touched(const Undo& undo);

// The state with the undo's values back. Errors: conflict, all that stands in the way.
[[nodiscard]] rules::Result<State> undone(const Undo& undo, State state);

// May the change that leads from `before` to `after` be made while others await confirmation?
// Errors: conflict, naming those in the way.
[[nodiscard]] rules::Result<void> check_pending(const State& before, const State& after);

[[nodiscard]] rules::Json pending_to_json(const PendingChange& change);         // as it is stored
[[nodiscard]] rules::Json pending_to_public_json(const PendingChange& change);  // for the API
[[nodiscard]] rules::Result<PendingChange> pending_from_json(const rules::Json& json,
                                                             const rules::Node& node);

}  // namespace sluice::control
