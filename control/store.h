// SPDX-License-Identifier: Apache-2.0
//
// Where acknowledged changes survive the end of the process.
//
// Owner: the publisher thread (load: before it starts).
#pragma once

#include <optional>

#include "control/state.h"
#include "rules/result.h"

namespace sluice::control {

class Store {
 public:
  virtual ~Store() = default;
  // Nothing: a new store. Error: storage.
  [[nodiscard]] virtual rules::Result<std::optional<State>> load() = 0;
  // Makes the stored state, which is `before`, into `after`: all of it, durably, or nothing.
  [[nodiscard]] virtual rules::Result<void> commit(const State& before, const State& after) = 0;
};

}  // namespace sluice::control
