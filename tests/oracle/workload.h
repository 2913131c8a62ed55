// SPDX-License-Identifier: Apache-2.0
//
// Rule sets as tenants write them, and worse, with keys to ask: what benchmarks time and tests
// check. Same shape and seed, same values.
#pragma once

#include <vector>

#include "tests/oracle/random_node.h"

namespace sluice::oracle {

enum class RuleStyle : std::uint8_t {
  security_group,   // mixed protocols, popular and random ports, networks of /8-/32, some open to
                    // any
  arbitrary_ports,  // TCP and UDP, every rule its own port range, networks of /8-/32
  nested,           // every rule its own port and its own network, each inside the one before
};

struct WorkloadShape {
  rules::Family family = rules::Family::ipv4;
  RuleStyle style = RuleStyle::security_group;
  std::size_t load_balancers = 1;
  std::size_t groups = 1;            // on the node
  std::size_t rules_per_group = 10;  // inbound; beside them one outbound rule
  std::size_t groups_per_lb = 1;     // groups == load_balancers: each its own
  bool distinct_sets = false;        // no two LBs with the same groups, where there are enough
};

struct Workload {
  rules::Node node;
  std::vector<rules::LbId> lb_of_key;
  std::vector<rules::PacketKey> keys;  // inbound; `policy` is left 0
  std::vector<bool> expected;          // by the oracle
};

// LB i (from 1) owns 10.255.x.y and fd00::i in the first zone.
[[nodiscard]] rules::Node workload_node(const WorkloadShape& shape, std::uint64_t seed);
// `hit_percent` of the keys are allowed, the others are near misses and strangers.
[[nodiscard]] Workload workload(const WorkloadShape& shape, std::uint64_t seed, std::size_t keys,
                                unsigned hit_percent = 70);

}  // namespace sluice::oracle
