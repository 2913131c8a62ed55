// SPDX-License-Identifier: Apache-2.0
//
// The node that sequences play on: three load balancers in two zones, and a catalogue of rules.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "rules/model.h"
#include "tests/sequences/sequence.h"

namespace sluice::sequences {

inline constexpr std::size_t kCatalogue = 32;

// Zone "a" is untagged, zone "b" has VLAN 5. "web" and "api" are in a, "other" in b with the
// address of "web".
[[nodiscard]] std::shared_ptr<const rules::Node> node_of(const Change& change);

// Addresses by index, IPv4 and IPv6: load balancers, hosts outside, and one that nobody owns.
struct Cast {
  std::array<rules::Address, 2> load_balancers;
  std::array<rules::Address, 3> hosts;
  rules::Address nobody;
};
[[nodiscard]] const Cast& cast_of(rules::Family family);

}  // namespace sluice::sequences
