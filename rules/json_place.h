// SPDX-License-Identifier: Apache-2.0
//
// Where in a JSON text the values stand that problems name, and how to show it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "rules/json_parse.h"

namespace sluice::rules {

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
