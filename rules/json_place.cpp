// SPDX-License-Identifier: Apache-2.0
#include "rules/json_place.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <optional>
#include <unordered_map>

#include <fmt/format.h>

#include "rules/printable.h"

namespace sluice::rules {
namespace {

// A walk over text that parse_json accepted: no error is possible, only finding.
class PlaceWalk {
 public:
  // Offsets of the values at `wanted` paths; those that are not there stay npos.
  using Offsets = std::unordered_map<std::string, std::size_t>;

  static void find(std::string_view text, Offsets& wanted) {
    PlaceWalk walk{text, wanted};
    walk.space();
    walk.value();
  }

 private:
  PlaceWalk(std::string_view text, Offsets& wanted) : text_(text), wanted_(wanted) {}

  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != text_.npos) ++at_;
  }
  void next() {
    ++at_;
    space();
  }
  // The token with its quotes.
  std::string_view string_token() {
    const std::size_t first = at_++;
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    ++at_;
    return text_.substr(first, at_ - first);
  }
  static std::string key_of(std::string_view token) {
    if (token.find('\\') == std::string_view::npos)
      return std::string(token.substr(1, token.size() - 2));
    const Json key = Json::parse(token, nullptr, false);
    return key.is_string() ? key.get<std::string>() : std::string();
  }

  // Depth is bounded by kJsonDepthMax, as parse_json saw to.
  void value() {
    if (const auto found = wanted_.find(path_); found != wanted_.end())
      found->second = std::min(found->second, at_);
    if (peek() == '{') {
      members();
    } else if (peek() == '[') {
      elements();
    } else if (peek() == '"') {
      (void)string_token();
    } else {
      at_ = std::min(text_.find_first_of(",]} \t\r\n", at_), text_.size());
    }
    space();
  }
  void members() {
    const std::size_t outer = path_.size();
    next();
    while (at_ < text_.size() && peek() != '}') {
      path_.append(outer == 0 ? "" : ".").append(key_of(string_token()));
      space();
      next();  // ':'
      value();
      path_.resize(outer);
      if (peek() == ',') next();
    }
    ++at_;
  }
  void elements() {
    const std::size_t outer = path_.size();
    next();
    for (std::size_t i = 0; at_ < text_.size() && peek() != ']'; ++i) {
      path_ += fmt::format("[{}]", i);
      value();
      path_.resize(outer);
      if (peek() == ',') next();
    }
    ++at_;
  }

  std::string_view text_;
  Offsets& wanted_;
  std::size_t at_ = 0;
  std::string path_;
};

// "rules[3].port_range" -> "rules[3]" -> "rules" -> ""
std::string enclosing(const std::string& path) {
  const std::size_t last = path.find_last_of(".[");
  return path.substr(0, last == std::string::npos ? 0 : last);
}

// The offset of "line:column", the place that a problem of the syntax names itself.
std::optional<std::size_t> offset_of_syntax(std::string_view text, std::string_view where) {
  Position at;
  const char* end = where.data() + where.size();
  const auto [colon, bad_line] = std::from_chars(where.data(), end, at.line);
  if (bad_line != std::errc{} || colon == end || *colon != ':') return std::nullopt;
  const auto [stop, bad_column] = std::from_chars(colon + 1, end, at.column);
  if (bad_column != std::errc{} || stop != end) return std::nullopt;
  std::size_t offset = 0;
  for (std::size_t line = 1; line < at.line; ++line) {
    const std::size_t newline = text.find('\n', offset);
    if (newline == std::string_view::npos) break;
    offset = newline + 1;
  }
  return std::min(offset + std::max<std::size_t>(at.column, 1) - 1, text.size());
}

// Where each problem stands, as an offset.
std::vector<std::size_t> offsets_of(std::string_view text, const std::vector<Problem>& problems) {
  constexpr std::size_t kNowhere = std::string_view::npos;
  if (problems.size() == 1)
    if (const auto offset = offset_of_syntax(text, problems[0].where)) return {*offset};
  PlaceWalk::Offsets wanted{{"", kNowhere}};
  for (const Problem& problem : problems)
    for (std::string path = problem.where; wanted.emplace(path, kNowhere).second;)
      path = enclosing(path);
  PlaceWalk::find(text, wanted);
  std::vector<std::size_t> offsets;
  for (const Problem& problem : problems) {
    std::string path = problem.where;
    while (wanted.at(path) == kNowhere && !path.empty()) path = enclosing(path);
    offsets.push_back(std::min(wanted.at(path), text.size()));
  }
  return offsets;
}

// The part of a line that is shown, and how many columns stand before the caret.
struct Excerpt {
  std::string text;
  std::size_t columns = 0;
};

Excerpt excerpt_of(std::string_view line, std::size_t caret) {
  constexpr std::size_t kShownMax = 96;  // bytes
  caret = std::min(caret, line.size());
  std::size_t first = caret > kShownMax / 2 && line.size() > kShownMax ? caret - kShownMax / 2 : 0;
  while (first > 0 && first < caret && (line[first] & 0xc0) == 0x80) ++first;
  Excerpt excerpt{first > 0 ? "…" : "", first > 0 ? 1u : 0u};
  for (std::size_t at = first; at < line.size();) {
    const CodePoint point = code_point_at(line, at);
    if (at + point.bytes > first + kShownMax) {
      excerpt.text += "…";
      break;
    }
    const bool plain = is_printable(point);
    excerpt.text += plain ? line.substr(at, point.bytes) : point.is_valid ? " " : "?";
    if (at + point.bytes <= caret) excerpt.columns += plain ? columns_of(point.value) : 1;
    at += point.bytes;
  }
  return excerpt;
}

}  // namespace

std::vector<PlacedProblem> place(std::string_view text, std::vector<Problem> problems) {
  text = without_mark(text);
  const std::vector<std::size_t> offsets = offsets_of(text, problems);
  std::vector<std::size_t> order(problems.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return offsets[a] < offsets[b]; });
  std::vector<PlacedProblem> placed;
  std::size_t number = 1;  // of the line that begins at `first`
  std::size_t first = 0;
  std::size_t end = std::min(text.find('\n'), text.size());
  for (std::size_t i : order) {
    while (offsets[i] > end) {
      first = end + 1;
      end = std::min(text.find('\n', first), text.size());
      ++number;
    }
    std::string_view line = text.substr(first, end - first);
    if (line.ends_with('\r')) line.remove_suffix(1);
    placed.push_back({{number, offsets[i] - first + 1}, line, std::move(problems[i])});
  }
  return placed;
}

std::string diagnostic(std::string_view file, const PlacedProblem& placed) {
  const Excerpt excerpt = excerpt_of(placed.line, placed.at.column - 1);
  const std::string& where = placed.problem.where;
  const bool is_syntax = where == fmt::format("{}:{}", placed.at.line, placed.at.column);
  return fmt::format("{}:{}:{}: error: {}{}{}\n  {}\n  {}^\n", file, placed.at.line,
                     placed.at.column, is_syntax ? "" : printable(where, 2 * kQuotedMax),
                     is_syntax || where.empty() ? "" : ": ", printable(placed.problem.message),
                     excerpt.text, std::string(excerpt.columns, ' '));
}

}  // namespace sluice::rules
