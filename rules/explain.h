// SPDX-License-Identifier: Apache-2.0
//
// Why a packet is allowed or not, for people: every rule that allows it, or the one that comes
// nearest, and in what that one fails.
//
// Cost: a look at every rule of the policy; for questions and samples of drops, never per packet.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rules/group_index.h"
#include "rules/packet_key.h"

namespace sluice::rules {

// What of a rule a packet can fail, the easiest to mend first: the order in which ties are broken.
enum class MissField : std::uint8_t {
  icmp_code,
  icmp_type,
  port_range,
  network,
  protocol,
  direction,
};
inline constexpr std::size_t kMissFields = 6;

// The rule's field as the API names it.
[[nodiscard]] std::string_view to_string(MissField field);

struct MissSet {
  std::uint8_t bits = 0;
  void add(MissField field) { bits |= static_cast<std::uint8_t>(1u << static_cast<int>(field)); }
  [[nodiscard]] bool has(MissField field) const { return (bits >> static_cast<int>(field)) & 1; }
  [[nodiscard]] int count() const { return std::popcount(bits); }
  // Nearer: fewer fields; of as many, those that are easier to mend.
  [[nodiscard]] bool is_nearer(const MissSet& other) const {
    return count() != other.count() ? count() < other.count() : bits < other.bits;
  }
  bool operator==(const MissSet&) const = default;
};

// A rule and the group that it stands in.
struct FoundRule {
  std::shared_ptr<const GroupIndex> index;
  std::size_t position = 0;
  [[nodiscard]] const Group& group() const { return *index->group().group; }
  [[nodiscard]] const Rule& rule() const { return group().rules[position]; }
  [[nodiscard]] RuleRef ref() const { return {group().id, rule().id}; }
};

struct NearestMiss {
  FoundRule found;
  MissSet missed;
};

struct Explanation {
  std::vector<FoundRule> allowing;     // by group id, then the group's order
  std::optional<NearestMiss> nearest;  // where nothing allows it, and there is a rule at all
};

// `groups` of a policy, by id (Policy::groups). `key.policy` is not looked at. Of rules that are
// equally near the one of the lowest group id counts, then the first in that group's order.
[[nodiscard]] Explanation explain(std::span<const std::shared_ptr<const GroupIndex>> groups,
                                  const PacketKey& key);

// The rule with that identity. Nothing: it is in none of the groups.
[[nodiscard]] std::optional<FoundRule> find_rule(
    std::span<const std::shared_ptr<const GroupIndex>> groups, RuleRef ref);

// "TCP to port 8080 from 10.1.2.3"
[[nodiscard]] std::string describe(const PacketKey& key);
// "rule 7 of group web (Inbound Custom_TCP 80,443 from 10.0.0.0/24)"
[[nodiscard]] std::string describe(const FoundRule& found);
// "port 8080 is not in 80,443", the fields that failed joined by "; ".
[[nodiscard]] std::string describe_miss(const NearestMiss& miss, const PacketKey& key);
// The whole answer as one or two sentences.
[[nodiscard]] std::string sentence_of(const Explanation& explanation, const PacketKey& key);

}  // namespace sluice::rules
