// SPDX-License-Identifier: Apache-2.0
//
// How a fallible operation answers: a value, or one Error that lists every problem found.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

namespace sluice::rules {

// What a caller can do about it; HTTP statuses and exit codes are derived from it, in one place
// each.
enum class ErrorCode : std::uint8_t {
  invalid,      // the input is wrong; `problems` names the fields
  forbidden,    // the caller may not do this
  not_found,    // an id or name that does not exist
  conflict,     // the state does not allow it now (status, attached, default, duplicate name)
  too_large,    // the input is larger than is read at all
  capacity,     // well formed, but beyond a limit of the compiled table; the limit is named
  unavailable,  // the node is not enforcing yet, or is stopping
  storage,      // the store refused; nothing was changed
  system,       // the machine refused: a device, a socket, memory
};

// One refused field: where it stands ("rules[3].port_range") and the reason.
struct Problem {
  std::string where;
  std::string message;
  bool operator==(const Problem&) const = default;
};

struct Error {
  ErrorCode code = ErrorCode::invalid;
  std::string message;  // one sentence a person can act on
  std::vector<Problem> problems;
};

template <class T>
using Result = tl::expected<T, Error>;

[[nodiscard]] inline tl::unexpected<Error> fail(ErrorCode code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message), {}});
}

[[nodiscard]] inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace sluice::rules
