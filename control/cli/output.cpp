// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>

#include "control/cli/cli.h"

namespace sluice::control::cli {
namespace {

int exit_code_of(rules::ErrorCode code) {
  switch (code) {
    case rules::ErrorCode::invalid:
    case rules::ErrorCode::too_large:
      return kExitUsage;
    case rules::ErrorCode::forbidden:
      return kExitPermission;
    case rules::ErrorCode::not_found:
      return kExitNotFound;
    case rules::ErrorCode::conflict:
      return kExitConflict;
    case rules::ErrorCode::capacity:
      return kExitCapacity;
    case rules::ErrorCode::unavailable:
    case rules::ErrorCode::storage:
      return kExitUnreachable;
    case rules::ErrorCode::system:
      return kExitGeneral;
  }
  return kExitGeneral;
}

// Columns of a terminal.
std::size_t width_of(std::string_view text) {
  std::size_t columns = 0;
  for (std::size_t at = 0; at < text.size();) {
    const rules::CodePoint point = rules::code_point_at(text, at);
    columns += point.is_valid ? rules::columns_of(point.value) : 1;
    at += point.bytes;
  }
  return columns;
}

}  // namespace

tl::unexpected<Failure> fail(int exit_code, std::string error, std::string next_step,
                             std::vector<std::string> details) {
  return tl::unexpected<Failure>(
      Failure{exit_code, std::move(error), std::move(details), std::move(next_step)});
}

tl::unexpected<Failure> failure_of(const rules::Error& error, std::string next_step) {
  Failure failure{exit_code_of(error.code), error.message, {}, std::move(next_step)};
  if (error.problems.size() > 1)
    for (const auto& problem : error.problems)
      failure.details.push_back(fmt::format("{}: {}", problem.where, problem.message));
  return tl::unexpected<Failure>(std::move(failure));
}

std::string Call::text(const char* name) const {
  return has(name) ? options[name].as<std::string>() : "";
}

std::vector<std::string> Call::texts(const char* name) const {
  return has(name) ? options[name].as<std::vector<std::string>>() : std::vector<std::string>{};
}

std::string field(const Json& json, const char* name) {
  if (!json.is_object() || !json.contains(name) || json[name].is_null()) return "";
  return json[name].is_string() ? json[name].get<std::string>() : json[name].dump();
}

void print(std::string_view text) {
  fmt::print("{}\n", text);
}

void print_json(const Json& json) {
  fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

void print_table(const std::vector<std::string>& head,
                 const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const std::string& cell : head) widths.push_back(width_of(cell));
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], width_of(printable(row[i])));
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const std::string cell = printable(cells[i]);
      text += cell;
      if (i + 1 < cells.size()) text += std::string(widths[i] - width_of(cell) + 2, ' ');
    }
    print(text);
  };
  line(head);
  for (const auto& row : rows) line(row);
}

void remark(const Call& call, std::string_view text) {
  if (!call.quiet && !call.json) fmt::print(stderr, "{}\n", printable(text));
}

std::string enforced_by(const Json& data) {
  return fmt::format("generation {} (compile {} µs, store {} µs, swap {} µs)",
                     field(data, "generation"), field(data, "compile_us"), field(data, "store_us"),
                     field(data, "swap_us"));
}

Outcome<int> confirm(const Call& call, const std::string& question) {
  if (call.has("force")) return kExitOk;
  if (!isatty(STDIN_FILENO)) {
    return fail(kExitUsage, "this is destructive and nobody can be asked here",
                "add --force to go ahead");
  }
  fmt::print(stderr, "{} [y/N] ", printable(question));
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") return kExitOk;
  return fail(kExitGeneral, "not confirmed; nothing was changed");
}

Outcome<std::string> read_text(const std::string& path) {
  std::ostringstream text;
  if (path == "-") {
    text << std::cin.rdbuf();
    return text.str();
  }
  std::ifstream file(path, std::ios::binary);
  if (!file || !(text << file.rdbuf()))
    return fail(kExitUsage, fmt::format("{} cannot be read, or is empty", path),
                "check the path and its permissions");
  return text.str();
}

}  // namespace sluice::control::cli
