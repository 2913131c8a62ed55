// SPDX-License-Identifier: Apache-2.0
//
// Strict JSON, and where in the text a value stands.
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

// Both from 1; a column counts bytes.
struct Position {
  std::size_t line = 1;
  std::size_t column = 1;
};

// Where the value that a Problem names ("rules[3].port_range") stands in `text`, which parse_json
// accepted; the nearest enclosing value where that one is missing.
[[nodiscard]] Position locate(std::string_view text, std::string_view where);

// "file:12:21: error: rules[3].port_range: …", the line, and a caret under the column.
[[nodiscard]] std::string diagnostic(std::string_view file, std::string_view text,
                                     const Problem& problem);

}  // namespace sluice::rules
