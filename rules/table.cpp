// SPDX-License-Identifier: Apache-2.0
#include "rules/table.h"

#include "rules/policy_table.h"

namespace sluice::rules {

// The slot of the address, or the free one where it would stand. Ends: at most half are taken.
std::size_t Table::slot_of(std::uint16_t zone, const Address& local) const noexcept {
  std::uint64_t hash = (local.high ^ (std::uint64_t{zone} << 48)) * 0x9e3779b97f4a7c15u;
  hash = (hash ^ (hash >> 32) ^ local.low) * 0xff51afd7ed558ccdu;
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = (hash >> 32) & mask;; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.match.lb == 0 || (slot.address == local && slot.zone == zone)) return at;
  }
}

LbMatch Table::find_lb(std::uint16_t zone, const Address& local) const noexcept {
  return slots_[slot_of(zone, local)].match;
}

const PolicyTable& Table::policy_of(const PacketKey& key) const noexcept {
  const Policy& policy = policies_[key.policy];
  return key.direction == Direction::inbound ? *policy.inbound : *policy.outbound;
}

bool Table::allows(const PacketKey& key) const noexcept {
  return policy_of(key).allows(key);
}

std::uint64_t Table::allows_batch(std::span<const PacketKey> keys) const noexcept {
  std::uint64_t allowed = 0;
  for (std::size_t i = 0; i < keys.size(); ++i) allowed |= std::uint64_t{allows(keys[i])} << i;
  return allowed;
}

std::optional<RuleRef> Table::rule_of(const PacketKey& key) const noexcept {
  return policy_of(key).rule_of(key);
}

std::size_t Table::size_bytes() const noexcept {
  std::size_t bytes = sizeof(*this) + slots_.size() * sizeof(Slot);
  for (const Policy& policy : policies_)
    bytes += sizeof(policy) + policy.inbound->size_bytes() + policy.outbound->size_bytes();
  return bytes;
}

}  // namespace sluice::rules
