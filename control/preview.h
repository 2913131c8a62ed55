// SPDX-License-Identifier: Apache-2.0
//
// What a change would do, for who asks before making it: rules that would begin or cease to apply,
// listeners and backends that would no longer be reached.
#pragma once

#include <span>

#include "control/state.h"
#include "rules/json.h"
#include "rules/table.h"

namespace sluice::control {

// Of a list the first ones are told, of all the number.
inline constexpr std::size_t kPreviewItemsMax = 1000;

struct PreviewOf {
  const State& before;
  const State& after;
  const rules::Table& now;   // compiled from `before`
  const rules::Table& then;  // compiled from `after`
  std::span<const std::string> zones;
};

// {"rules":{"begin":[…],"begin_total":n,"cease":[…],"cease_total":n},
//  "unreachable":{"listeners":[…],"backends":[…]}}
[[nodiscard]] rules::Json preview_to_json(const PreviewOf& preview);

}  // namespace sluice::control
