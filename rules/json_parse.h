// SPDX-License-Identifier: Apache-2.0
//
// Strict JSON, and where in the text a value stands.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

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

struct PlacedProblem {
  Position at;
  std::string_view line;  // of the text, without its end
  Problem problem;
};

// Where the values that problems name ("rules[3].port_range") stand in `text`, which parse_json
// accepted (or the one problem is why it did not); the nearest enclosing value where one is
// missing. In the order of place. One walk over the text, however many problems.
[[nodiscard]] std::vector<PlacedProblem> place(std::string_view text,
                                               std::vector<Problem> problems);

// "file:12:21: error: rules[3].port_range: …", the line, and a caret under the column. Of a long
// line the part around the column; nothing that a terminal obeys.
[[nodiscard]] std::string diagnostic(std::string_view file, const PlacedProblem& placed);

}  // namespace sluice::rules
