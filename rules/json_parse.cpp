// SPDX-License-Identifier: Apache-2.0
#include "rules/json_parse.h"

#include <algorithm>

#include <fmt/format.h>

#include "rules/printable.h"

namespace sluice::rules {

std::string_view without_mark(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  return text.substr(text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0);
}

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
  // `furthest`: how far the text has been read, kept by the iterator that reads it.
  explicit StrictBuilder(const char*& furthest) : furthest_(furthest), begin_(furthest) {}

  Json root;
  std::string reason;
  const char* culprit = nullptr;  // where it stands

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
      culprit = begin_of_string();
      reason = fmt::format("the key {} stands twice in one object", quote(name));
      return false;
    }
    key_ = name;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    culprit = begin_ + (position == 0 ? 0 : position - 1);
    // The library's text begins with its own numbering and place; ours is said elsewhere.
    const std::string text = error.what();
    const std::size_t sentence = text.find(": ");
    reason =
        "not valid JSON: " +
        printable(sentence == std::string::npos ? text : text.substr(sentence + 2), 4 * kQuotedMax);
    return false;
  }

 private:
  const char*& furthest_;
  const char* begin_;
  std::vector<Json*> stack_;
  std::string key_;
  Json* last_ = nullptr;

  // Of the string whose closing quote was read last.
  [[nodiscard]] const char* begin_of_string() const {
    const char* quote = furthest_ - 1;
    const auto is_escaped = [this](const char* at) {
      std::size_t backslashes = 0;
      while (at > begin_ && *--at == '\\') ++backslashes;
      return backslashes % 2 == 1;
    };
    do --quote;
    while (quote > begin_ && (*quote != '"' || is_escaped(quote)));
    return quote;
  }

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
      culprit = furthest_ - 1;
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

}  // namespace

Result<Json> parse_json(std::string_view text) {
  text = without_mark(text);
  const char* furthest = text.data();
  StrictBuilder builder(furthest);
  const CountingIterator begin{text.data(), &furthest};
  const CountingIterator end{text.data() + text.size(), nullptr};
  if (Json::sax_parse(begin, end, &builder)) return std::move(builder.root);
  const Position at = position_of(text, static_cast<std::size_t>(builder.culprit - text.data()));
  return fail(Error{ErrorCode::invalid,
                    fmt::format("line {}, column {}: {}", at.line, at.column, builder.reason),
                    {{fmt::format("{}:{}", at.line, at.column), builder.reason}}});
}

}  // namespace sluice::rules
