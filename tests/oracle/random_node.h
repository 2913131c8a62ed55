// SPDX-License-Identifier: Apache-2.0
//
// Random nodes and packets, dense at the borders where tables go wrong. Same seed, same values.
#pragma once

#include "rules/packet_key.h"
#include "tests/oracle/random.h"

namespace sluice::oracle {

struct NodeShape {
  std::size_t groups = 4;
  std::size_t rules_per_group = 8;
  std::size_t load_balancers = 3;
  std::size_t system_rules = 0;  // at most; half of them reserve
};

// LB i (from 1) owns 10.255.0.i and fd00::i in zone "".
[[nodiscard]] rules::Node random_node(Random& random, const NodeShape& shape);
// A packet key near the borders of some rule of the node, or anywhere. `policy` is left 0.
[[nodiscard]] rules::PacketKey random_packet(Random& random, const rules::Node& node);

}  // namespace sluice::oracle
