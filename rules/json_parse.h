// SPDX-License-Identifier: Apache-2.0
//
// Strict JSON.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "rules/result.h"

namespace sluice::rules {

using Json = nlohmann::json;

inline constexpr std::size_t kJsonDepthMax = 32;

// UTF-8, no duplicate keys, nesting to kJsonDepthMax, one document and nothing after it. An integer
// beyond 64 bits is kept exactly, as a string of its digits.
// Error: invalid, one problem with `where` as "line:column".
[[nodiscard]] Result<Json> parse_json(std::string_view text);

// Both from 1; a column counts bytes (a byte order mark is none).
struct Position {
  std::size_t line = 1;
  std::size_t column = 1;
  auto operator<=>(const Position&) const = default;
};

// Without the byte order mark that some editors put before a text.
[[nodiscard]] std::string_view without_mark(std::string_view text);

}  // namespace sluice::rules
