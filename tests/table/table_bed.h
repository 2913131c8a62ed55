// SPDX-License-Identifier: Apache-2.0
//
// The table beside the oracle: what all table tests compare, and count.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "rules/compile.h"
#include "tests/oracle/oracle.h"
#include "tests/oracle/random_node.h"

namespace sluice::tests {

inline const std::vector<std::string> kZones{"edge"};

inline std::uint64_t seed_of_run() {
  const char* given = std::getenv("SLUICE_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

inline std::shared_ptr<const rules::Table> compiled(const rules::Node& node,
                                                    std::uint64_t generation = 1) {
  auto table = rules::Compiler().compile(node, kZones, generation);
  EXPECT_TRUE(table) << table.error().message;
  return table ? *table : nullptr;
}

// The instruction sets that this CPU has.
std::vector<rules::InstructionSet> instruction_sets();

// `cases` random packets of the node's LBs against the oracle: attribution, single lookups, and
// batches of every size, of one policy and family or of any, with every instruction set. Stops at
// the first difference, which names the seed.
void compare(const rules::Table& table, const rules::Node& node, oracle::Random& random,
             std::size_t cases, std::uint64_t seed);

// A node of one LB that has one group of these rules attached.
rules::Node node_of(std::vector<rules::Rule> rules);

}  // namespace sluice::tests
