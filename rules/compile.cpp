// SPDX-License-Identifier: Apache-2.0
//
// What changed since the last compile, and what must be built for it.
#include "rules/compile.h"

#include <algorithm>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "rules/compile_cache.h"
#include "rules/policy_build.h"

namespace sluice::rules {
namespace {

// Visits the keys whose values differ between two sorted maps: visit(key, old or null, new or
// null).
template <class Map, class Visit>
void each_difference(const Map& before, const Map& after, Visit visit) {
  if (before.is_same(after)) return;
  auto a = before.begin(), b = after.begin();
  while (a != before.end() || b != after.end()) {
    if (b == after.end() || (a != before.end() && a->first < b->first)) {
      visit(a->first, a->second.get(), nullptr);
      ++a;
    } else if (a == before.end() || b->first < a->first) {
      visit(b->first, nullptr, b->second.get());
      ++b;
    } else {
      if (a->second != b->second) visit(a->first, a->second.get(), b->second.get());
      ++a, ++b;
    }
  }
}

}  // namespace

// One compile: everything that can fail, into what is built. Until that is done the cache is not
// changed, unless nothing of it can be used any more.
class Compiler::Change {
 public:
  Change(Cache& cache, const Node& node, std::span<const std::string> zones,
         std::uint64_t generation)
      : cache_(cache), node_(node), zones_(zones), since_(static_cast<std::uint32_t>(generation)) {}

  Result<Built> run() {
    if (!std::equal(zones_.begin(), zones_.end(), cache_.zones.begin(), cache_.zones.end()) ||
        cache_.table == nullptr || cache_.node.system_rules != node_.system_rules)
      start_over();  // the system rules are in every policy
    built_.system = cache_.table->system_;
    if (node_.system_rules != nullptr && built_.system == nullptr)
      built_.system = std::make_shared<const SystemIndex>(node_.system_rules, since_);
    find_changed_groups();
    if (auto found = find_changed_load_balancers(); !found) return tl::unexpected(found.error());
    if (auto built = rebuild_changed_policies(); !built) return tl::unexpected(built.error());
    for (auto& [ids, policy] : built_.policies) {
      auto built = build(ids);
      if (!built) return tl::unexpected(built.error());
      policy = *built;
    }
    return std::move(built_);
  }

 private:
  void start_over() {
    ImagePool images = std::move(cache_.images);
    cache_ = {};
    cache_.images = std::move(images);
    cache_.zones.assign(zones_.begin(), zones_.end());
    auto table = std::make_shared<Table>();
    table->lb_index_ = std::make_shared<const LbIndex>(0);
    cache_.table = std::move(table);
  }

  // Groups that differ from those compiled last, themselves or by a VPC that they name.
  void find_changed_groups() {
    std::set<VpcId> vpcs;
    each_difference(cache_.node.vpcs, node_.vpcs,
                    [&](VpcId id, const Vpc*, const Vpc*) { vpcs.insert(id); });
    if (!vpcs.empty()) {
      for (const auto& [id, index] : cache_.groups) {
        const auto& rules = index->group().group->rules;
        if (std::any_of(rules.begin(), rules.end(), [&](const Rule& rule) {
              return rule.network.type == NetworkType::my_network &&
                     vpcs.contains(rule.network.vpc);
            }))
          changed_groups_.insert(id);
      }
    }
    each_difference(cache_.node.groups, node_.groups,
                    [&](GroupId id, const Group* before, const Group*) {
                      if (before != nullptr) changed_groups_.insert(id);
                    });
  }

  Result<void> find_changed_load_balancers() {
    std::optional<Error> error;
    each_difference(cache_.node.load_balancers, node_.load_balancers,
                    [&](LbId, const LoadBalancer* before, const LoadBalancer* after) {
                      if (before == nullptr || after == nullptr || before->id != after->id ||
                          before->zone != after->zone || before->addresses != after->addresses)
                        built_.addresses_changed = true;
                      if (after != nullptr && zone_of(*after, zones_)) want(*after, error);
                    });
    if (error) return fail(*error);
    return {};
  }

  // Notes the policy of an LB to be built, if it is new, and its groups to be there.
  void want(const LoadBalancer& lb, std::optional<Error>& error) {
    GroupIds ids = ids_of(lb);
    for (GroupId id : ids) {
      if (node_.groups.contains(id)) continue;
      error = Error{
          ErrorCode::invalid,
          fmt::format("load balancer {} has group {} attached, which does not exist", lb.name, id),
          {}};
      return;
    }
    if (!cache_.policy_of.contains(ids)) built_.policies.try_emplace(std::move(ids));
  }

  Result<void> rebuild_changed_policies() {
    if (changed_groups_.empty()) return {};
    for (PolicyIndex i = 0; i < cache_.uses.size(); ++i) {
      const Cache::Use& use = cache_.uses[i];
      if (use.load_balancers == 0 || !is_changed(use.groups)) continue;
      if (!std::all_of(use.groups.begin(), use.groups.end(),
                       [&](GroupId id) { return node_.groups.contains(id); })) {
        // A group is gone, and so must be the policy.
        if (auto unused = check_unused(use.groups); !unused) return unused;
        continue;
      }
      auto built = build(use.groups);
      if (!built) return tl::unexpected(built.error());
      built_.rebuilt.emplace_back(i, *built);
    }
    return {};
  }

  [[nodiscard]] Result<void> check_unused(const GroupIds& ids) {
    std::optional<Error> error;
    for (const auto& [id, lb] : node_.load_balancers)
      if (zone_of(*lb, zones_) && ids_of(*lb) == ids) want(*lb, error);
    if (error) return fail(*error);
    return {};
  }

  [[nodiscard]] bool is_changed(const GroupIds& ids) const {
    return std::any_of(ids.begin(), ids.end(),
                       [&](GroupId id) { return changed_groups_.contains(id); });
  }

  Result<std::shared_ptr<const GroupIndex>> group(GroupId id) {
    if (const auto made = built_.groups.find(id); made != built_.groups.end()) return made->second;
    const auto known = cache_.groups.find(id);
    const auto before = known == cache_.groups.end() ? nullptr : known->second;
    if (before != nullptr && !changed_groups_.contains(id)) return before;
    ResolvedGroup resolved{node_.groups.at(id), {}};
    std::set<VpcId> vpcs;
    for (const Rule& rule : resolved.group->rules)
      if (rule.network.type == NetworkType::my_network) vpcs.insert(rule.network.vpc);
    for (VpcId vpc : vpcs) {
      const auto found = node_.vpcs.find(vpc);
      if (found == node_.vpcs.end()) {
        return fail(ErrorCode::invalid,
                    fmt::format("a rule of group {} names VPC {}, which does not exist",
                                resolved.group->name, vpc));
      }
      resolved.vpcs.push_back(found->second);
    }
    return built_.groups[id] =
               std::make_shared<const GroupIndex>(std::move(resolved), since_, before.get());
  }

  Result<std::shared_ptr<const Policy>> build(const GroupIds& ids) {
    auto policy = std::make_shared<Policy>();
    for (GroupId id : ids) {
      auto index = group(id);
      if (!index) return tl::unexpected(index.error());
      policy->groups.push_back(*index);
    }
    for (const Direction direction : {Direction::inbound, Direction::outbound}) {
      auto image = build_policy(policy->groups, direction, built_.system.get());
      if (!image) return tl::unexpected(image.error());
      policy->images[static_cast<std::size_t>(direction)] = cache_.images.share(*image);
    }
    return policy;
  }

  Cache& cache_;
  const Node& node_;
  std::span<const std::string> zones_;
  std::uint32_t since_;  // low half of the generation in the making
  std::set<GroupId> changed_groups_;
  Built built_;
};

Compiler::Compiler() : cache_(std::make_unique<Cache>()) {}
Compiler::~Compiler() = default;

Result<std::shared_ptr<const Table>> Compiler::compile(const Node& node,
                                                       std::span<const std::string> zones,
                                                       std::uint64_t generation) {
  auto built = Change(*cache_, node, zones, generation).run();
  if (!built) return tl::unexpected(built.error());
  return commit(node, zones, generation, std::move(*built));
}

}  // namespace sluice::rules
