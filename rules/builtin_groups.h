// SPDX-License-Identifier: Apache-2.0
//
// The groups that every node starts with.
#pragma once

#include <array>
#include <string_view>

#include "rules/model.h"

namespace sluice::rules {

inline constexpr GroupId kDefaultGroupId = 1;
inline constexpr GroupId kAllowAllGroupId = 2;
inline constexpr RuleId kBuiltinRuleIdMax = 6;

// `default` (inbound TCP 80 and 443 and ICMP from any, outbound all) and `Allow-All-Traffic`.
[[nodiscard]] std::array<Group, 2> builtin_groups();
[[nodiscard]] bool is_builtin_group(std::string_view name);

}  // namespace sluice::rules
