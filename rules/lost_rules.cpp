// SPDX-License-Identifier: Apache-2.0
#include "rules/lost_rules.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "rules/group_index.h"

namespace sluice::rules {
namespace {

bool allows_the_same(const Rule& a, const ResolvedGroup& group_of_a, const Rule& b,
                     const ResolvedGroup& group_of_b) {
  if (!a.same_match(b)) return false;
  return a.network.type != NetworkType::my_network ||
         group_of_a.networks(a) == group_of_b.networks(b);
}

// So that even a few meet hardly any rule that was not lost.
constexpr std::size_t kSlotsMin = 64;

// Rules of `before` that `after` has not, or not as they were.
std::vector<RuleId> lost_between(const ResolvedGroup& before, const ResolvedGroup& after) {
  std::vector<std::pair<RuleId, const Rule*>> by_id;
  for (const Rule& rule : after.group->rules) by_id.emplace_back(rule.id, &rule);
  std::sort(by_id.begin(), by_id.end());
  std::vector<RuleId> lost;
  for (const Rule& rule : before.group->rules) {
    const auto found =
        std::lower_bound(by_id.begin(), by_id.end(), rule.id,
                         [](const auto& entry, RuleId id) { return entry.first < id; });
    if (found == by_id.end() || found->first != rule.id ||
        !allows_the_same(rule, before, *found->second, after))
      lost.push_back(rule.id);
  }
  return lost;
}

}  // namespace

LostRules::LostRules(const LostRules& until_then, std::uint32_t generation,
                     const ResolvedGroup& before, const ResolvedGroup& after)
    : LostRules(until_then) {
  const std::vector<RuleId> lost = lost_between(before, after);
  if (lost.empty()) return;
  std::vector<Slot> carried = std::exchange(slots_, {});
  std::erase_if(carried, [](const Slot& slot) { return slot.rule == 0; });
  if (!carried.empty() && carried.size() + lost.size() > kCarriedMax) {
    carried.clear();
    known_from_ = newest_;
  }
  newest_ = generation;
  slots_.resize(std::max(kSlotsMin, std::bit_ceil(4 * (carried.size() + lost.size()))));
  shift_ = 32 - static_cast<std::uint32_t>(std::countr_zero(slots_.size()));
  count_ = 0;
  for (const Slot& slot : carried) add(slot.rule, slot.generation);
  for (const RuleId rule : lost) add(rule, generation);
}

void LostRules::add(RuleId rule, std::uint32_t generation) noexcept {
  Slot& slot = slots_[slot_of(rule)];
  count_ += slot.rule == 0;
  slot = {rule, generation};
}

}  // namespace sluice::rules
