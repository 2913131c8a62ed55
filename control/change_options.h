// SPDX-License-Identifier: Apache-2.0
//
// What a client may ask of every change beside the change itself: only try it, take it back after
// a while, roll it back unless it is confirmed, and what becomes of live flows.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "control/flows_option.h"

namespace sluice::control {

inline constexpr std::uint32_t kExpiresInMax = 365 * 24 * 3600;
inline constexpr std::uint32_t kConfirmWithinMax = 24 * 3600;

// Their names in a body.
inline constexpr std::array<const char*, 4> kChangeOptions{"dry_run", "expires_in",
                                                           "confirm_within", "flows"};

struct ChangeOptions {
  bool dry_run = false;
  std::optional<std::uint32_t> expires_in_s;      // of an attach
  std::optional<std::uint32_t> confirm_within_s;  // of any change
  dataplane::FlowsOnChange flows{};
};

// dry_run, expires_in, confirm_within and flows of a body; what is wrong with them is a problem.
[[nodiscard]] ChangeOptions read_change_options(const rules::Json& body,
                                                std::vector<rules::Problem>& problems);

}  // namespace sluice::control
