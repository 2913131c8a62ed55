// SPDX-License-Identifier: Apache-2.0
//
// Node -> Table. Refuses, with the reason, what exceeds a limit; never silently wrong.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "rules/table.h"

namespace sluice::rules {

// Owner: one thread (the publisher). Keeps the policies it compiled last, so that a change
// recompiles only those it touches and LBs with equal sets of groups share one.
class Compiler {
 public:
  Compiler();
  ~Compiler();
  Compiler(const Compiler&) = delete;
  Compiler& operator=(const Compiler&) = delete;

  // `zones`: names in the order of the dataplane's zone indexes. An LB of a zone that is not
  // among them is left out: its traffic finds no LB and drops.
  // Errors: capacity (the policy and the limit named), invalid (an unknown VPC or group).
  [[nodiscard]] Result<std::shared_ptr<const Table>> compile(const Node& node,
                                                             std::span<const std::string> zones,
                                                             std::uint64_t generation);

 private:
  struct Cache;
  struct Built;
  class Change;
  class Commit;
  // From here on nothing fails.
  [[nodiscard]] std::shared_ptr<const Table> commit(const Node& node,
                                                    std::span<const std::string> zones,
                                                    std::uint64_t generation, Built built);
  std::unique_ptr<Cache> cache_;
};

}  // namespace sluice::rules
