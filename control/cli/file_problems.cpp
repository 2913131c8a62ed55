// SPDX-License-Identifier: Apache-2.0
#include "control/cli/file_problems.h"

#include <fmt/format.h>

#include "rules/json_place.h"

namespace sluice::control::cli {

std::string name_of_input(const std::string& path) {
  return path == "-" ? "standard input" : path;
}

tl::unexpected<Failure> refused(const Call& call, const std::string& path, const std::string& text,
                                Failure failure) {
  if (failure.problems.empty() || call.json) return tl::unexpected(std::move(failure));
  const auto placed = rules::place(text, std::move(failure.problems));
  for (const auto& problem : placed)
    fmt::print(stderr, "{}", rules::diagnostic(printable(name_of_input(path)), problem));
  failure.details.clear();
  failure.error = fmt::format("{}: {} problem{}; nothing was changed", name_of_input(path),
                              placed.size(), placed.size() == 1 ? "" : "s");
  failure.problems.clear();
  return tl::unexpected(std::move(failure));
}

}  // namespace sluice::control::cli
