// SPDX-License-Identifier: Apache-2.0
//
// What a caller of the API may do; each role includes those before it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice::control {

enum class Role : std::uint8_t {
  none,     // nothing that needs a role
  read,     // see everything
  operate,  // change what is enforced
  admin,    // that, and what concerns the node itself (tokens, backup, audit)
};

[[nodiscard]] constexpr std::string_view to_string(Role role) {
  switch (role) {
    case Role::none:
      break;
    case Role::read:
      return "read";
    case Role::operate:
      return "operate";
    case Role::admin:
      return "admin";
  }
  return "none";
}

[[nodiscard]] constexpr std::optional<Role> read_role(std::string_view text) {
  for (const Role role : {Role::none, Role::read, Role::operate, Role::admin})
    if (text == to_string(role)) return role;
  return std::nullopt;
}

}  // namespace sluice::control
