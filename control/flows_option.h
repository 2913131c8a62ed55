// SPDX-License-Identifier: Apache-2.0
//
// The `flows` of a change: what becomes of live flows that the new table no longer allows.
#pragma once

#include <string>
#include <vector>

#include "dataplane/dataplane.h"
#include "rules/json.h"

namespace sluice::control {

inline constexpr std::uint32_t kDrainMax = 7 * 24 * 3600;

// "cut", "keep" or "drain:SECONDS" (1 .. kDrainMax) in body["flows"]; absent: cut.
[[nodiscard]] dataplane::FlowsOnChange read_flows(const rules::Json& body,
                                                  std::vector<rules::Problem>& problems);

// {"cut", "kept", "draining", "complete"}
[[nodiscard]] rules::Json fates_to_json(const dataplane::FateCounts& fates);

}  // namespace sluice::control
