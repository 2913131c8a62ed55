// SPDX-License-Identifier: Apache-2.0
//
// What a compiler keeps from one compile to the next, and what one compile hands from the part that
// may fail (compile.cpp) to the part that may not (compile_commit.cpp).
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rules/compile.h"
#include "rules/image_pool.h"

namespace sluice::rules {

using GroupIds = std::vector<GroupId>;  // sorted, no duplicates: what a policy is made of

[[nodiscard]] inline GroupIds ids_of(const LoadBalancer& lb) {
  GroupIds ids = lb.groups;
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

struct HashIds {
  std::size_t operator()(const GroupIds& ids) const noexcept {
    std::uint64_t hash = ids.size();
    for (GroupId id : ids) hash = (hash ^ id) * 0x9e3779b97f4a7c15u, hash ^= hash >> 32;
    return hash;
  }
};

// Its index; none: the LB is of a zone that is not here.
[[nodiscard]] inline std::optional<std::uint16_t> zone_of(const LoadBalancer& lb,
                                                          std::span<const std::string> zones) {
  const auto zone =
      lb.zone.empty() ? zones.begin() : std::find(zones.begin(), zones.end(), lb.zone);
  if (zone == zones.end()) return std::nullopt;
  return static_cast<std::uint16_t>(zone - zones.begin());
}

// All that is kept of the last compile. Nothing in it is changed before a compile has succeeded.
struct Compiler::Cache {
  struct Use {
    GroupIds groups;
    std::uint32_t load_balancers = 0;  // 0: the policy's place is free
  };
  Node node;
  std::vector<std::string> zones;
  std::map<GroupId, std::shared_ptr<const GroupIndex>> groups;  // those that some policy holds
  std::unordered_map<GroupIds, PolicyIndex, HashIds> policy_of;
  std::vector<Use> uses;  // by PolicyIndex
  std::vector<PolicyIndex> free;
  std::shared_ptr<const Table> table;
  ImagePool images;
  ImageSums sums;
};

// What the next table has and the last one has not.
struct Compiler::Built {
  std::shared_ptr<const SystemIndex> system;  // also if it is the same
  std::map<GroupId, std::shared_ptr<const GroupIndex>> groups;
  std::map<GroupIds, std::shared_ptr<const Policy>> policies;
  std::vector<std::pair<PolicyIndex, std::shared_ptr<const Policy>>> rebuilt;
  bool addresses_changed = false;
};

}  // namespace sluice::rules
