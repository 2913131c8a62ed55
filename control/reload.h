// SPDX-License-Identifier: Apache-2.0
//
// The configured files made the node's state, at the start and on SIGHUP: the rules file as by
// POST /apply/, the system rules beside it. Both in one change; a problem in either refuses the
// whole, and what was in force stays.
//
// Owner: the main thread. The report may be read by any.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "control/publisher.h"
#include "rules/json_place.h"
#include "rules/system_rules.h"

namespace sluice::control {

// Empty: not configured.
struct ReloadFiles {
  std::string rules;
  std::string system_rules;
};

using SystemRulesPtr = std::shared_ptr<const rules::SystemRules>;
// Null where no file is named. Error: every problem, each as "file:line:column: reason".
[[nodiscard]] rules::Result<SystemRulesPtr> read_system_rules(const std::string& path,
                                                              const rules::SystemRules* previous);

// Its message tells all problems, one a line.
[[nodiscard]] rules::Error with_all_problems(rules::Error error);

class Reloader {
 public:
  Reloader(Publisher& publisher, ReloadFiles files);

  // Reads the files and brings them into force; logs the plan, or every problem, line by line.
  // True: what the files say is in force.
  bool reload();
  // The same, announced to the service manager (RELOADING=1, READY=1, STATUS=).
  void reload_and_tell();

 private:
  [[nodiscard]] rules::Result<Applied> apply();
  [[nodiscard]] rules::Json empty_report() const;
  void report(const rules::Result<Applied>& applied);

  Publisher& publisher_;
  const ReloadFiles files_;
  std::uint64_t count_ = 0;
};

}  // namespace sluice::control
