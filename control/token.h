// SPDX-License-Identifier: Apache-2.0
//
// Bearer tokens: a secret is shown once, its hash stands in a file, a line each:
//   NAME ROLE sha256:HEX
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "control/role.h"
#include "rules/result.h"

namespace sluice::control {

using TokenHash = std::array<std::uint8_t, 32>;

struct Token {
  std::string name;  // 1-50 of letters, digits, _ . and -
  Role role = Role::none;
  TokenHash hash{};
};

// 256 random bits: a secret that strong needs neither salt nor a slow hash.
[[nodiscard]] std::string make_secret();
[[nodiscard]] TokenHash hash_secret(std::string_view secret);

[[nodiscard]] bool is_token_name(std::string_view name);
[[nodiscard]] std::string token_line(const Token& token);
// A file's text; blank lines and those that begin with # say nothing.
// Error: invalid, every line that is wrong.
[[nodiscard]] rules::Result<std::vector<Token>> read_tokens(std::string_view text);

}  // namespace sluice::control
