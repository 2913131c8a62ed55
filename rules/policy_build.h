// SPDX-License-Identifier: Apache-2.0
//
// Groups -> PolicyImage: the rules of one policy in one direction as a lookup reads them.
#pragma once

#include <memory>
#include <span>

#include "rules/group_index.h"
#include "rules/policy_image.h"
#include "rules/system_index.h"

namespace sluice::rules {

// Groups ordered by id. Equal groups give equal bytes. `system` (null: none) opens what it opens
// and takes what it reserves away from the groups. Error: capacity (the groups, the direction, and
// what to do).
[[nodiscard]] Result<std::shared_ptr<const PolicyImage>> build_policy(
    std::span<const std::shared_ptr<const GroupIndex>> groups, Direction direction,
    const SystemIndex* system);

}  // namespace sluice::rules
