// SPDX-License-Identifier: Apache-2.0
//
// Text of others inside our messages: bounded, and without anything that a terminal obeys.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sluice::rules {

inline constexpr std::size_t kQuotedMax = 64;  // bytes of user text in one message

struct CodePoint {
  char32_t value = 0;
  std::size_t bytes = 1;
  bool is_valid = false;  // false: one byte that is no UTF-8
};

// The character that begins at byte `at` (< text.size()).
[[nodiscard]] CodePoint code_point_at(std::string_view text, std::size_t at);

// Controls are not, nor marks that turn the direction of what follows them.
[[nodiscard]] bool is_printable(const CodePoint& point);

// Columns of a terminal: none for combining marks, two for wide characters.
[[nodiscard]] std::size_t columns_of(char32_t value);

// What cannot be printed as \xNN, byte by byte; beyond `max_bytes` of the text "…".
[[nodiscard]] std::string printable(std::string_view text,
                                    std::size_t max_bytes = std::string_view::npos);

[[nodiscard]] std::string quote(std::string_view text);

}  // namespace sluice::rules
