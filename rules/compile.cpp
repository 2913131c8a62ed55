// SPDX-License-Identifier: Apache-2.0
//
// What changed since the last compile, and the table made of the rest and that.
#include "rules/compile.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

#include "rules/image_pool.h"
#include "rules/policy_build.h"

namespace sluice::rules {
namespace {

using GroupIds = std::vector<GroupId>;  // sorted, no duplicates: what a policy is made of

GroupIds ids_of(const LoadBalancer& lb) {
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

// One compile: first everything that can fail, into this; then commit().
class Compiler::Change {
 public:
  Change(Cache& cache, const Node& node, std::span<const std::string> zones,
         std::uint64_t generation)
      : cache_(cache),
        node_(node),
        zones_(zones),
        generation_(generation),
        since_(static_cast<std::uint32_t>(generation)) {}

  Result<std::shared_ptr<const Table>> run() {
    if (!std::equal(zones_.begin(), zones_.end(), cache_.zones.begin(), cache_.zones.end()) ||
        cache_.table == nullptr || cache_.node.system_rules != node_.system_rules)
      start_over();  // the system rules are in every policy
    system_ = cache_.table->system_;
    if (node_.system_rules != nullptr && system_ == nullptr)
      system_ = std::make_shared<const SystemIndex>(node_.system_rules, since_);
    find_changed_groups();
    if (auto found = find_changed_load_balancers(); !found) return tl::unexpected(found.error());
    if (auto built = rebuild_changed_policies(); !built) return tl::unexpected(built.error());
    for (auto& [ids, policy] : new_policies_) {
      auto built = build(ids);
      if (!built) return tl::unexpected(built.error());
      policy = *built;
    }
    return commit();
  }

 private:
  using Built = std::shared_ptr<const Policy>;

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
                        addresses_changed_ = true;
                      if (after != nullptr && zone_of(*after)) want(*after, error);
                    });
    if (error) return fail(*error);
    return {};
  }

  [[nodiscard]] std::optional<std::uint16_t> zone_of(const LoadBalancer& lb) const {
    const auto zone =
        lb.zone.empty() ? zones_.begin() : std::find(zones_.begin(), zones_.end(), lb.zone);
    if (zone == zones_.end()) return std::nullopt;
    return static_cast<std::uint16_t>(zone - zones_.begin());
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
    if (!cache_.policy_of.contains(ids)) new_policies_.try_emplace(std::move(ids));
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
      rebuilt_.emplace_back(i, *built);
    }
    return {};
  }

  [[nodiscard]] Result<void> check_unused(const GroupIds& ids) {
    std::optional<Error> error;
    for (const auto& [id, lb] : node_.load_balancers)
      if (zone_of(*lb) && ids_of(*lb) == ids) want(*lb, error);
    if (error) return fail(*error);
    return {};
  }

  [[nodiscard]] bool is_changed(const GroupIds& ids) const {
    return std::any_of(ids.begin(), ids.end(),
                       [&](GroupId id) { return changed_groups_.contains(id); });
  }

  Result<std::shared_ptr<const GroupIndex>> group(GroupId id) {
    if (const auto made = new_groups_.find(id); made != new_groups_.end()) return made->second;
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
    return new_groups_[id] =
               std::make_shared<const GroupIndex>(std::move(resolved), since_, before.get());
  }

  Result<Built> build(const GroupIds& ids) {
    auto policy = std::make_shared<Policy>();
    for (GroupId id : ids) {
      auto index = group(id);
      if (!index) return tl::unexpected(index.error());
      policy->groups.push_back(*index);
    }
    for (const Direction direction : {Direction::inbound, Direction::outbound}) {
      auto image = build_policy(policy->groups, direction, system_.get());
      if (!image) return tl::unexpected(image.error());
      policy->images[static_cast<std::size_t>(direction)] = cache_.images.share(*image);
    }
    return policy;
  }

  // From here on nothing fails.
  std::shared_ptr<const Table> commit() {
    table_ = std::make_shared<Table>(*cache_.table);
    table_->generation_ = generation_;
    table_->system_ = system_;
    for (auto& [id, index] : new_groups_) cache_.groups[id] = index;
    for (auto& [index, policy] : rebuilt_) put(index, std::move(policy));
    for (auto& [ids, policy] : new_policies_) put(place_for(ids), std::move(policy));
    move_load_balancers();
    if (addresses_changed_) index_addresses();
    free_unused();
    table_->levels_ = cache_.sums.levels();
    if (is_judged_otherwise_ || addresses_changed_) table_->changed_ = generation_;
    if (is_narrowed_ || addresses_changed_) table_->narrowed_ = generation_;
    cache_.node = node_;
    cache_.table = table_;
    return table_;
  }

  PolicyIndex place_for(const GroupIds& ids) {
    PolicyIndex place = 0;
    if (!cache_.free.empty()) {
      place = cache_.free.back();
      cache_.free.pop_back();
    } else {
      place = static_cast<PolicyIndex>(cache_.uses.size());
      cache_.uses.emplace_back();
      table_->policies_.emplace_back();
      table_->policy_changes_.emplace_back();
      table_->images_.resize(table_->images_.size() + 2);
    }
    cache_.uses[place] = {ids, 0};
    cache_.policy_of.emplace(ids, place);
    ++table_->policies_in_use_;
    return place;
  }

  // Null: takes the policy away.
  void put(PolicyIndex index, Built policy) {
    Built& place = table_->policies_[index];
    for (std::size_t direction = 0; direction < 2; ++direction) {
      if (place != nullptr) cache_.sums.remove(*place->images[direction]);
      if (policy != nullptr) cache_.sums.add(*policy->images[direction]);
      table_->images_[index * 2 + direction] =
          policy == nullptr ? nullptr : policy->images[direction]->lines();
    }
    place = std::move(policy);
    table_->policy_changes_[index] = {narrowed_by_groups(place.get()), since_};
    is_judged_otherwise_ = true;
  }

  // A policy has the same groups for life.
  std::uint32_t narrowed_by_groups(const Policy* policy) {
    std::uint32_t narrowed = 0;
    if (policy == nullptr) return narrowed;
    for (const auto& group : policy->groups) narrowed = std::max(narrowed, group->lost().newest());
    is_narrowed_ |= narrowed == since_;
    return narrowed;
  }

  // An LB's place is its rank among the node's LBs, so that both walks agree without a map.
  void move_load_balancers() {
    const std::vector<Table::Ruling>& old = cache_.table->ruling_of_;
    std::vector<Table::Ruling> ruling_of;
    if (node_.load_balancers.is_same(cache_.node.load_balancers)) return;
    ruling_of.reserve(node_.load_balancers.size());
    auto before = cache_.node.load_balancers.begin();
    const auto end = cache_.node.load_balancers.end();
    std::size_t rank = 0;  // of `before`
    for (const auto& [id, lb] : node_.load_balancers) {
      for (; before != end && before->first < id; ++before, ++rank) leave(old[rank].policy);
      const bool known = before != end && before->first == id;
      if (known && before->second == lb) {
        ruling_of.push_back(old[rank]);
      } else {
        if (known) leave(old[rank].policy);
        const PolicyIndex policy = enter(*lb);
        const bool is_there =
            known && before->second->zone == lb->zone && before->second->addresses == lb->addresses;
        ruling_of.push_back({policy, is_there ? changes_of(*before->second, old[rank], *lb, policy)
                                              : Table::Changes{since_, since_}});
        is_judged_otherwise_ |= ruling_of.back().changes.since == since_;
        is_narrowed_ |= ruling_of.back().changes.narrowed == since_;
      }
      if (known) ++before, ++rank;
    }
    for (; before != end; ++before, ++rank) leave(old[rank].policy);
    table_->ruling_of_ = std::move(ruling_of);
  }

  // Of an LB that stays where it is.
  [[nodiscard]] Table::Changes changes_of(const LoadBalancer& before, const Table::Ruling& old,
                                          const LoadBalancer& after, PolicyIndex policy) const {
    if (policy == old.policy) return old.changes;
    const GroupIds then = ids_of(before), now = ids_of(after);
    if (old.policy == kNoPolicy || !std::includes(now.begin(), now.end(), then.begin(), then.end()))
      return {since_, since_};
    // Groups were only added. What the others lose now, the new policy knows.
    return {std::max(old.changes.narrowed, cache_.table->policy_changes_[old.policy].narrowed),
            since_};
  }

  PolicyIndex enter(const LoadBalancer& lb) {
    if (!zone_of(lb)) return kNoPolicy;
    const PolicyIndex policy = cache_.policy_of.at(ids_of(lb));
    ++cache_.uses[policy].load_balancers;
    ++table_->load_balancers_;
    return policy;
  }

  void leave(PolicyIndex policy) {
    if (policy == kNoPolicy) return;
    --table_->load_balancers_;
    if (--cache_.uses[policy].load_balancers == 0) emptied_.push_back(policy);
  }

  void index_addresses() {
    std::size_t addresses = 0;
    for (const auto& [id, lb] : node_.load_balancers) addresses += lb->addresses.size();
    auto index = std::make_shared<LbIndex>(addresses);
    LbPlace place = 0;
    for (const auto& [id, lb] : node_.load_balancers) {
      if (const auto zone = zone_of(*lb)) {
        for (const LbAddress& owned : lb->addresses) index->add(*zone, owned.address, id, place);
      }
      ++place;
    }
    table_->lb_index_ = std::move(index);
  }

  // Policies and groups that no LB uses any more.
  void free_unused() {
    for (PolicyIndex policy : emptied_) {
      Cache::Use& use = cache_.uses[policy];
      if (use.load_balancers != 0 || table_->policies_[policy] == nullptr) continue;
      for (GroupId id : use.groups) dropped_groups_.insert(id);
      cache_.policy_of.erase(use.groups);
      use = {};
      cache_.free.push_back(policy);
      put(policy, nullptr);
      --table_->policies_in_use_;
    }
    // Only this cache and the old table hold an index that no policy of the new one does.
    for (GroupId id : dropped_groups_) {
      const bool used = std::any_of(cache_.uses.begin(), cache_.uses.end(), [&](const auto& use) {
        return std::binary_search(use.groups.begin(), use.groups.end(), id);
      });
      if (!used) cache_.groups.erase(id);
    }
  }

  static constexpr PolicyIndex kNoPolicy = ~PolicyIndex{0};  // an LB of a zone that is not here

  Cache& cache_;
  const Node& node_;
  std::span<const std::string> zones_;
  std::shared_ptr<const SystemIndex> system_;
  std::set<GroupId> changed_groups_;
  bool addresses_changed_ = false;
  bool is_judged_otherwise_ = false;  // some LB, or what was one
  bool is_narrowed_ = false;          // what is allowed to some LB
  std::uint64_t generation_;          // in the making
  std::uint32_t since_;               // its low half
  std::map<GroupId, std::shared_ptr<const GroupIndex>> new_groups_;
  std::map<GroupIds, Built> new_policies_;
  std::vector<std::pair<PolicyIndex, Built>> rebuilt_;
  std::shared_ptr<Table> table_;
  std::vector<PolicyIndex> emptied_;
  std::set<GroupId> dropped_groups_;
};

Compiler::Compiler() : cache_(std::make_unique<Cache>()) {}
Compiler::~Compiler() = default;

Result<std::shared_ptr<const Table>> Compiler::compile(const Node& node,
                                                       std::span<const std::string> zones,
                                                       std::uint64_t generation) {
  return Change(*cache_, node, zones, generation).run();
}

}  // namespace sluice::rules
