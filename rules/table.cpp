// SPDX-License-Identifier: Apache-2.0
#include "rules/table.h"

#include <unordered_map>
#include <unordered_set>

#include "rules/system_rules.h"

namespace sluice::rules {

const RuleRef* Table::find_rule(const PacketKey& key) const noexcept {
  if (system_ != nullptr) {
    if (const auto* rule = system_->index().rule_of(key)) return rule;
    if (system_->reserves(key)) return nullptr;
  }
  for (const auto& group : policies_[key.policy]->groups)
    if (const auto* rule = group->rule_of(key)) return rule;
  return nullptr;
}

const LostRules* Table::lost_rules(PolicyIndex policy, GroupId group_id) const noexcept {
  for (const auto& group : policies_[policy]->groups)
    if (group->id() == group_id) return &group->lost();
  return group_id == kSystemGroupId && system_ != nullptr ? &system_->index().lost() : nullptr;
}

std::shared_ptr<const Table> Table::with(InstructionSet set) const {
  auto table = std::make_shared<Table>(*this);
  table->lookup_ = lookup_batch(set);
  return table;
}

std::shared_ptr<const Table> Table::replica(std::pmr::memory_resource& memory,
                                            const Table* before) const {
  auto table = std::make_shared<Table>(*this);
  // Policies that share an image share its copy.
  std::unordered_map<const PolicyImage*, std::shared_ptr<const PolicyImage>> copies;
  if (before != nullptr) {
    for (const auto& policy : before->policies_) {
      if (policy == nullptr) continue;
      for (const auto& image : policy->images) copies.emplace(image->original(), image);
    }
  }
  for (std::size_t i = 0; i < policies_.size(); ++i) {
    if (policies_[i] == nullptr) continue;
    auto policy = std::make_shared<Policy>(*policies_[i]);
    for (std::size_t direction = 0; direction < 2; ++direction) {
      auto& image = policy->images[direction];
      auto& copy = copies[image.get()];
      if (copy == nullptr) copy = PolicyImage::copy(image, memory);
      image = copy;
      table->images_[i * 2 + direction] = image->lines();
    }
    table->policies_[i] = std::move(policy);
  }
  return table;
}

std::size_t Table::image_bytes() const {
  std::size_t bytes = 0;
  std::unordered_set<const PolicyImage*> counted;
  for (const auto& policy : policies_) {
    if (policy == nullptr) continue;
    for (const auto& image : policy->images)
      if (counted.insert(image.get()).second) bytes += image->size_bytes();
  }
  return bytes;
}

std::size_t Table::size_bytes() const {
  std::size_t bytes =
      sizeof(*this) + (lb_index_ == nullptr ? 0 : lb_index_->size_bytes()) +
      ruling_of_.size() * sizeof(Ruling) +
      policies_.size() * (2 * sizeof(Line*) + sizeof(Changes) + sizeof(std::shared_ptr<Policy>));
  if (system_ != nullptr) bytes += system_->size_bytes();
  std::unordered_set<const GroupIndex*> counted;
  for (const auto& policy : policies_) {
    if (policy == nullptr) continue;
    bytes += sizeof(Policy) + policy->groups.size() * sizeof(std::shared_ptr<GroupIndex>);
    for (const auto& group : policy->groups)
      if (counted.insert(group.get()).second) bytes += group->size_bytes();
  }
  return bytes + image_bytes();
}

std::vector<PolicyReport> Table::policy_reports() const {
  std::vector<std::size_t> users(policies_.size());
  for (const Ruling& ruling : ruling_of_)
    if (ruling.policy < users.size()) ++users[ruling.policy];
  std::vector<PolicyReport> reports;
  for (std::size_t i = 0; i < policies_.size(); ++i) {
    if (policies_[i] == nullptr) continue;
    const Policy& policy = *policies_[i];
    PolicyReport report{
        {}, users[i], {policy.images[0]->size_bytes(), policy.images[1]->size_bytes()}};
    for (const auto& group : policy.groups) report.groups.push_back(group->group().group->id);
    reports.push_back(std::move(report));
  }
  return reports;
}

}  // namespace sluice::rules
