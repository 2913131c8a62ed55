// SPDX-License-Identifier: Apache-2.0
//
// What the daemon refuses of a file, shown in the file as `check` does: line, column, caret.
#pragma once

#include <string>

#include "control/cli/cli.h"

namespace sluice::control::cli {

// "standard input" for "-".
[[nodiscard]] std::string name_of_input(const std::string& path);

// Prints the problems of `failure` on stderr and gives what is left to say. With --json they stay
// as they came, by field.
[[nodiscard]] tl::unexpected<Failure> refused(const Call& call, const std::string& path,
                                              const std::string& text, Failure failure);

}  // namespace sluice::control::cli
