// SPDX-License-Identifier: Apache-2.0
#include "rules/json_parse.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include <fmt/format.h>

namespace sluice::rules {
namespace {

Position position_of(std::string_view text, std::size_t offset) {
  offset = std::min(offset, text.size());
  const std::string_view before = text.substr(0, offset);
  const std::size_t newline = before.rfind('\n');
  return {1 + static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n')),
          newline == std::string_view::npos ? offset + 1 : offset - newline};
}

// Builds the document; stops at the first thing that strictness forbids.
class StrictBuilder : public nlohmann::json_sax<Json> {
 public:
  Json root;
  std::string reason;
  std::size_t offset = 0;  // of a syntax error, from 1; 0: not known

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t& raw) override {
    const bool integer = raw.find_first_not_of("0123456789") == std::string::npos;
    return integer ? put(raw) : put(value);
  }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    if (stack_.back()->contains(name)) {
      reason = fmt::format("the key \"{}\" stands twice in one object", name);
      return false;
    }
    key_ = name;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    offset = position;
    // The library's text begins with its own numbering and place; ours is said elsewhere.
    const std::string text = error.what();
    const std::size_t sentence = text.find(": ");
    reason =
        "not valid JSON: " + (sentence == std::string::npos ? text : text.substr(sentence + 2));
    return false;
  }

 private:
  std::vector<Json*> stack_;
  std::string key_;

  template <class T>
  bool put(T&& value) {
    if (stack_.empty()) {
      root = std::forward<T>(value);
      last_ = &root;
    } else if (stack_.back()->is_array()) {
      stack_.back()->push_back(std::forward<T>(value));
      last_ = &stack_.back()->back();
    } else {
      last_ = &((*stack_.back())[key_] = std::forward<T>(value));
    }
    return true;
  }
  bool open(Json container) {
    if (stack_.size() == kJsonDepthMax) {
      reason = fmt::format("nested deeper than {}", kJsonDepthMax);
      return false;
    }
    put(std::move(container));
    stack_.push_back(last_);
    return true;
  }
  bool close() {
    stack_.pop_back();
    return true;
  }
  Json* last_ = nullptr;
};

// Counts what the parser has read, so that an error of ours has a place too.
struct CountingIterator {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;
  const char* at = nullptr;
  const char** furthest = nullptr;
  reference operator*() const { return *at; }
  CountingIterator& operator++() {
    ++at;
    if (furthest != nullptr) *furthest = std::max(*furthest, at);
    return *this;
  }
  bool operator==(const CountingIterator& other) const { return at == other.at; }
  bool operator!=(const CountingIterator& other) const { return at != other.at; }
};

// A walk over text that parse_json accepted: no error is possible, only skipping.
class Walker {
 public:
  explicit Walker(std::string_view text) : text_(text) { space(); }

  [[nodiscard]] std::size_t offset() const { return at_; }

  // Moves to the member or element; false (and anywhere) where there is none.
  bool enter(std::string_view key) {
    if (peek() != '{') return false;
    next();
    while (peek() != '}') {
      const std::string_view name = raw_string();
      space();
      next();  // ':'
      if (name == key) return true;
      skip_value();
      if (peek() == ',') next();
    }
    return false;
  }
  bool enter(std::size_t index) {
    if (peek() != '[') return false;
    next();
    for (std::size_t i = 0; peek() != ']'; ++i) {
      if (i == index) return true;
      skip_value();
      if (peek() == ',') next();
    }
    return false;
  }

 private:
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != text_.npos) ++at_;
  }
  void next() {
    ++at_;
    space();
  }
  std::string_view raw_string() {
    const std::size_t first = ++at_;
    while (peek() != '"' && at_ < text_.size()) at_ += peek() == '\\' ? 2 : 1;
    const std::string_view raw = text_.substr(first, at_ - first);
    ++at_;
    return raw;
  }
  void skip_value() {
    std::size_t depth = 0;
    do {
      const char c = peek();
      if (c == '"') {
        raw_string();
      } else {
        if (c == '{' || c == '[') ++depth;
        if (c == '}' || c == ']') --depth;
        ++at_;
      }
      if (depth == 0 && (c != '"' && c != '}' && c != ']'))
        while (at_ < text_.size() && std::string_view(",]} \t\r\n").find(peek()) == text_.npos)
          ++at_;
    } while (depth > 0 && at_ < text_.size());
    space();
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Result<Json> parse_json(std::string_view text) {
  StrictBuilder builder;
  const char* furthest = text.data();
  const CountingIterator begin{text.data(), &furthest};
  const CountingIterator end{text.data() + text.size(), nullptr};
  if (Json::sax_parse(begin, end, &builder)) return std::move(builder.root);
  const std::size_t offset =
      builder.offset != 0 ? builder.offset - 1 : static_cast<std::size_t>(furthest - text.data());
  const Position position = position_of(text, offset);
  Error error{ErrorCode::invalid,
              fmt::format("line {}, column {}: {}", position.line, position.column, builder.reason),
              {{fmt::format("{}:{}", position.line, position.column), builder.reason}}};
  return fail(std::move(error));
}

Position locate(std::string_view text, std::string_view where) {
  const char* end = where.data() + where.size();
  // A problem of the syntax names its place itself.
  Position written;
  auto [colon, bad] = std::from_chars(where.data(), end, written.line);
  if (bad == std::errc{} && colon != end && *colon == ':' &&
      std::from_chars(colon + 1, end, written.column).ec == std::errc{}) {
    return written;
  }
  Walker walker(text);
  std::size_t found = walker.offset();
  while (!where.empty()) {
    bool entered = false;
    if (where[0] == '[') {
      const std::size_t close = std::min(where.find(']'), where.size() - 1);
      std::size_t index = 0;
      std::from_chars(where.data() + 1, where.data() + close, index);
      entered = walker.enter(index);
      where.remove_prefix(close + 1);
    } else {
      if (where[0] == '.') where.remove_prefix(1);
      const std::size_t stop = std::min(where.find_first_of(".["), where.size());
      entered = walker.enter(where.substr(0, stop));
      where.remove_prefix(stop);
    }
    if (!entered) break;
    found = walker.offset();
  }
  return position_of(text, found);
}

std::string diagnostic(std::string_view file, std::string_view text, const Problem& problem) {
  const Position position = locate(text, problem.where);
  std::size_t first = 0;
  for (std::size_t line = 1; line < position.line && first < text.size(); ++line)
    first = std::min(text.find('\n', first), text.size() - 1) + 1;
  std::string_view line = text.substr(std::min(first, text.size()));
  line = line.substr(0, line.find_first_of("\r\n"));
  // A long line (a whole document in one) is shown around the column only.
  constexpr std::size_t kShownMax = 96;
  const std::size_t column = std::min(position.column - 1, line.size());
  const std::size_t skipped =
      column > kShownMax / 2 && line.size() > kShownMax ? column - kShownMax / 2 : 0;
  std::string shown;
  for (char c : line.substr(skipped, kShownMax))
    shown += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  const bool syntax = !problem.where.empty() && problem.where[0] >= '0' && problem.where[0] <= '9';
  return fmt::format("{}:{}:{}: error: {}{}{}\n  {}\n  {}^\n", file, position.line, position.column,
                     syntax ? "" : problem.where, syntax || problem.where.empty() ? "" : ": ",
                     problem.message, shown, std::string(column - skipped, ' '));
}

}  // namespace sluice::rules
