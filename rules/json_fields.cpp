// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "rules/json.h"
#include "rules/printable.h"

namespace sluice::rules {
namespace {

// A place may hold the name of a field that the user made up.
std::string described(const Problem& problem) {
  if (problem.where.empty()) return problem.message;
  return fmt::format("{}: {}", printable(problem.where, 2 * kQuotedMax), problem.message);
}

}  // namespace

FieldReader::FieldReader(const Json& object, std::string where, std::vector<Problem>& problems)
    : object_(object), where_(std::move(where)), problems_(problems) {}

const Json* FieldReader::find(std::string_view name) const {
  if (!object_.is_object()) return nullptr;
  const auto found = object_.find(std::string(name));
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

bool FieldReader::has(std::string_view name) const {
  return find(name) != nullptr;
}

bool FieldReader::is_one(std::string_view name) const {
  const Json* json = find(name);
  return json != nullptr && (*json == 1 || *json == "1");
}

std::string FieldReader::place(std::string_view name) const {
  return fmt::format("{}{}", where_, name);
}

void FieldReader::problem(std::string_view name, std::string message) {
  problems_.push_back({place(name), std::move(message)});
}

std::optional<std::string> FieldReader::text(std::string_view name) {
  const Json* json = find(name);
  if (json == nullptr) return std::nullopt;
  if (json->is_string()) return json->get<std::string>();
  problem(name, fmt::format("must be a text, not {}", json->type_name()));
  return std::nullopt;
}

std::optional<bool> FieldReader::boolean(std::string_view name) {
  const Json* json = find(name);
  if (json == nullptr) return std::nullopt;
  if (json->is_boolean()) return json->get<bool>();
  problem(name, fmt::format("must be true or false, not {}", json->type_name()));
  return std::nullopt;
}

std::optional<std::string> FieldReader::digits_or_text(std::string_view name) {
  const Json* json = find(name);
  if (json == nullptr) return std::nullopt;
  if (json->is_string()) return json->get<std::string>();
  if (json->is_number_integer()) return json->dump();
  problem(name, fmt::format("must be a whole number or a text, not {}",
                            json->is_number_float() ? json->dump() : json->type_name()));
  return std::nullopt;
}

std::optional<std::uint64_t> FieldReader::number(std::string_view name, std::uint64_t max) {
  const auto digits = digits_or_text(name);
  if (!digits) return std::nullopt;
  std::uint64_t value = 0;
  const char* end = digits->data() + digits->size();
  const auto [stop, error] = std::from_chars(digits->data(), end, value);
  const bool leading_zero = digits->size() > 1 && digits->front() == '0';
  if (digits->empty() || stop != end || error != std::errc{} || value > max || leading_zero) {
    problem(name, fmt::format("must be a whole number from 0 to {}, not {}", max,
                              printable(*digits, kQuotedMax)));
    return std::nullopt;
  }
  return value;
}

const Json* FieldReader::array(std::string_view name) {
  const Json* json = find(name);
  if (json == nullptr || json->is_array()) return json;
  problem(name, fmt::format("must be a list, not {}", json->type_name()));
  return nullptr;
}

void FieldReader::refuse_others(std::initializer_list<std::string_view> names) {
  for (const auto& [name, value] : object_.items()) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    problem(name, fmt::format("unknown field; known are {}", fmt::join(names, ", ")));
  }
}

Error refusal(std::vector<Problem> problems, ErrorCode code) {
  Error error;
  error.code = code;
  if (problems.size() == 1) {
    error.message = described(problems[0]);
  } else if (!problems.empty()) {
    error.message =
        fmt::format("{} problems; the first is {}", problems.size(), described(problems[0]));
  }
  error.problems = std::move(problems);
  return error;
}

}  // namespace sluice::rules
