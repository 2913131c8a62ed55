// SPDX-License-Identifier: Apache-2.0
#include "rules/printable.h"

#include <algorithm>
#include <array>
#include <initializer_list>

namespace sluice::rules {
namespace {

struct CodePointRange {
  char32_t first;
  char32_t last;
};

bool is_in(std::initializer_list<CodePointRange> ranges, char32_t value) {
  return std::any_of(ranges.begin(), ranges.end(), [value](const CodePointRange& range) {
    return range.first <= value && value <= range.last;
  });
}

}  // namespace

CodePoint code_point_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  if (byte(0) < 0x80) return {byte(0), 1, true};
  const std::size_t bytes = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : byte(0) >= 0xc2 ? 2 : 0;
  if (bytes == 0 || byte(0) > 0xf4 || bytes > text.size() - at) return {};
  char32_t value = byte(0) & (0x7fu >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    value = (value << 6) | (byte(i) & 0x3fu);
  }
  constexpr std::array<char32_t, 5> kLeast{0, 0, 0x80, 0x800, 0x10000};
  if (value < kLeast[bytes] || value > 0x10ffff || is_in({{0xd800, 0xdfff}}, value)) return {};
  return {value, bytes, true};
}

bool is_printable(const CodePoint& point) {
  return point.is_valid && !is_in({{0, 0x1f},
                                   {0x7f, 0x9f},
                                   {0x61c, 0x61c},
                                   {0x200e, 0x200f},
                                   {0x2028, 0x202e},
                                   {0x2066, 0x2069},
                                   {0xfeff, 0xfeff}},
                                  point.value);
}

std::size_t columns_of(char32_t value) {
  if (is_in({{0x300, 0x36f}, {0x200b, 0x200d}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}}, value))
    return 0;
  const bool wide = is_in({{0x1100, 0x115f},
                           {0x2e80, 0x303e},
                           {0x3041, 0xa4cf},
                           {0xac00, 0xd7a3},
                           {0xf900, 0xfaff},
                           {0xfe30, 0xfe6f},
                           {0xff00, 0xff60},
                           {0xffe0, 0xffe6},
                           {0x1f300, 0x1f64f},
                           {0x1f900, 0x1f9ff},
                           {0x20000, 0x3fffd}},
                          value);
  return wide ? 2 : 1;
}

std::string printable(std::string_view text, std::size_t max_bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = code_point_at(text, at);
    if (at + point.bytes > max_bytes) return out + "…";
    for (char c : text.substr(at, point.bytes)) {
      const auto byte = static_cast<unsigned char>(c);
      if (is_printable(point)) {
        out += c;
      } else {
        out.append("\\x").append({kDigits[byte >> 4], kDigits[byte & 15]});
      }
    }
    at += point.bytes;
  }
  return out;
}

std::string quote(std::string_view text) {
  return '"' + printable(text, kQuotedMax) + '"';
}

}  // namespace sluice::rules
