// SPDX-License-Identifier: Apache-2.0
//
// Where acknowledged changes survive the end of the process, and who made them.
//
// Owner: the publisher thread (load: before it starts).
#pragma once

#include <optional>
#include <span>

#include "control/audit.h"
#include "control/state.h"
#include "control/undo.h"
#include "rules/result.h"

namespace sluice::control {

class Store {
 public:
  virtual ~Store() = default;
  // Nothing: a new store. Error: storage.
  [[nodiscard]] virtual rules::Result<std::optional<State>> load() = 0;
  // Makes the stored state, which is `before`, into `after` and adds to the audit, in the order
  // given: all of it, durably, or nothing. Equal states: only the audit grows.
  [[nodiscard]] virtual rules::Result<void> commit(const State& before, const State& after,
                                                   std::span<const AuditEntry> audit) = 0;
  // In the order they were made.
  [[nodiscard]] virtual rules::Result<std::vector<AuditEntry>> read_audit(
      const AuditQuery& query) = 0;
  // The store as it is now, as the bytes of a file that it could be opened from.
  [[nodiscard]] virtual rules::Result<std::string> backup() = 0;
};

}  // namespace sluice::control
