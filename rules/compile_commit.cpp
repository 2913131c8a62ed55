// SPDX-License-Identifier: Apache-2.0
//
// The table of the last compile, with what the next one has built. Nothing here fails.
#include <algorithm>
#include <set>

#include "rules/compile_cache.h"

namespace sluice::rules {

class Compiler::Commit {
 public:
  Commit(Cache& cache, const Node& node, std::span<const std::string> zones,
         std::uint64_t generation, Built built)
      : cache_(cache),
        node_(node),
        zones_(zones),
        generation_(generation),
        since_(static_cast<std::uint32_t>(generation)),
        built_(std::move(built)) {}

  std::shared_ptr<const Table> run() {
    table_ = std::make_shared<Table>(*cache_.table);
    table_->generation_ = generation_;
    table_->system_ = built_.system;
    for (auto& [id, index] : built_.groups) cache_.groups[id] = index;
    for (auto& [index, policy] : built_.rebuilt) put(index, std::move(policy));
    for (auto& [ids, policy] : built_.policies) put(place_for(ids), std::move(policy));
    move_load_balancers();
    if (built_.addresses_changed) index_addresses();
    free_unused();
    table_->levels_ = cache_.sums.levels();
    if (is_judged_otherwise_ || built_.addresses_changed) table_->changed_ = generation_;
    if (is_narrowed_ || built_.addresses_changed) table_->narrowed_ = generation_;
    cache_.node = node_;
    cache_.table = table_;
    return table_;
  }

 private:
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
  void put(PolicyIndex index, std::shared_ptr<const Policy> policy) {
    auto& place = table_->policies_[index];
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
    if (!zone_of(lb, zones_)) return kNoPolicy;
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
      if (const auto zone = zone_of(*lb, zones_)) {
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
  std::uint64_t generation_;
  std::uint32_t since_;  // its low half
  Built built_;
  std::shared_ptr<Table> table_;
  bool is_judged_otherwise_ = false;  // some LB, or what was one
  bool is_narrowed_ = false;          // what is allowed to some LB
  std::vector<PolicyIndex> emptied_;
  std::set<GroupId> dropped_groups_;
};

std::shared_ptr<const Table> Compiler::commit(const Node& node, std::span<const std::string> zones,
                                              std::uint64_t generation, Built built) {
  return Commit(*cache_, node, zones, generation, std::move(built)).run();
}

}  // namespace sluice::rules
