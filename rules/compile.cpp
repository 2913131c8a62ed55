// SPDX-License-Identifier: Apache-2.0
#include "rules/compile.h"

#include <algorithm>
#include <bit>
#include <set>

#include <fmt/format.h>

#include "rules/policy_table.h"

namespace sluice::rules {
namespace {

// What a policy is made of. The pointers are held, so none can be reused for another value.
struct PolicyKey {
  std::vector<std::shared_ptr<const Group>> groups;  // by id
  std::vector<std::shared_ptr<const Vpc>> vpcs;      // that their rules name, by id
  auto operator<=>(const PolicyKey&) const = default;
};

Result<PolicyKey> key_of(const LoadBalancer& lb, const Node& node) {
  PolicyKey key;
  std::set<GroupId> groups(lb.groups.begin(), lb.groups.end());
  std::set<VpcId> vpcs;
  for (GroupId id : groups) {
    const auto group = node.groups.find(id);
    if (group == node.groups.end()) {
      return fail(
          ErrorCode::invalid,
          fmt::format("load balancer {} has group {} attached, which does not exist", lb.name, id));
    }
    key.groups.push_back(group->second);
    for (const Rule& rule : group->second->rules)
      if (rule.network.type == NetworkType::my_network) vpcs.insert(rule.network.vpc);
  }
  for (VpcId id : vpcs)
    if (const auto vpc = node.vpcs.find(id); vpc != node.vpcs.end())
      key.vpcs.push_back(vpc->second);
  return key;
}

}  // namespace

struct Compiler::Cache {
  struct Entry {
    std::shared_ptr<const PolicyTable> inbound;
    std::shared_ptr<const PolicyTable> outbound;
  };
  std::map<PolicyKey, Entry> policies;  // of the last table compiled
};

Compiler::Compiler() : cache_(std::make_unique<Cache>()) {}
Compiler::~Compiler() = default;

Result<std::shared_ptr<const Table>> Compiler::compile(const Node& node,
                                                       std::span<const std::string> zones,
                                                       std::uint64_t generation) {
  auto table = std::make_shared<Table>();
  table->generation_ = generation;
  std::size_t addresses = 0;
  for (const auto& [id, lb] : node.load_balancers) addresses += lb->addresses.size();
  table->slots_.resize(std::bit_ceil(addresses * 2 + 2));

  std::map<PolicyKey, Cache::Entry> used;
  std::map<PolicyKey, PolicyIndex> indexes;
  for (const auto& [id, lb] : node.load_balancers) {
    const auto zone =
        lb->zone.empty() ? zones.begin() : std::find(zones.begin(), zones.end(), lb->zone);
    if (zone == zones.end()) continue;
    auto key = key_of(*lb, node);
    if (!key) return tl::unexpected(key.error());
    const auto [index, is_new] =
        indexes.emplace(*key, static_cast<PolicyIndex>(table->policies_.size()));
    if (is_new) {
      Cache::Entry entry;
      if (const auto cached = cache_->policies.find(*key); cached != cache_->policies.end()) {
        entry = cached->second;
      } else {
        auto inbound = build_policy(key->groups, Direction::inbound, node.vpcs);
        if (!inbound) return tl::unexpected(inbound.error());
        auto outbound = build_policy(key->groups, Direction::outbound, node.vpcs);
        if (!outbound) return tl::unexpected(outbound.error());
        entry = {*inbound, *outbound};
      }
      table->policies_.push_back({entry.inbound, entry.outbound});
      used.emplace(std::move(*key), std::move(entry));
    }
    for (const LbAddress& owned : lb->addresses) {
      const auto zone_index = static_cast<std::uint16_t>(zone - zones.begin());
      Table::Slot& slot = table->slots_[table->slot_of(zone_index, owned.address)];
      slot = {owned.address, {lb->id, index->second}, zone_index};
    }
    ++table->load_balancers_;
  }
  cache_->policies = std::move(used);
  return std::shared_ptr<const Table>(std::move(table));
}

}  // namespace sluice::rules
