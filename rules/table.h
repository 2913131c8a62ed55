// SPDX-License-Identifier: Apache-2.0
//
// The table: every policy of the node in the immutable form that workers look packets up in.
//
// ESSAY-PLACEHOLDER
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <optional>
#include <span>
#include <vector>

#include "rules/group_index.h"
#include "rules/lb_index.h"
#include "rules/lookup.h"
#include "rules/packet_key.h"
#include "rules/policy_image.h"

namespace sluice::rules {

// An LB address found in the table.
struct LbMatch {
  LbId lb = 0;  // 0: no LB owns the address
  PolicyIndex policy = 0;
};

// What the LBs with one set of groups share.
struct Policy {
  std::array<std::shared_ptr<const PolicyImage>, 2> images;  // by direction
  std::vector<std::shared_ptr<const GroupIndex>> groups;     // by id
};

// What one policy costs.
struct PolicyReport {
  std::vector<GroupId> groups;
  std::size_t load_balancers = 0;
  std::array<std::size_t, 2> size_bytes{};  // of its images, by direction
};

// Immutable after compile: any number of threads may read.
class Table {
 public:
  // Grows by one per publish; 0 is never published.
  [[nodiscard]] std::uint64_t generation() const noexcept { return generation_; }

  // The LB that owns `local` in `zone` (index in the node's zone list).
  [[nodiscard]] LbMatch find_lb(std::uint16_t zone, const Address& local) const noexcept {
    const LbIndex::Owner owner = lb_index_->find(zone, local);
    if (owner.lb == 0) return {};
    return {owner.lb, policy_of_[owner.place]};
  }

  // Does a rule of the key's policy and direction allow it? Any policy index but one from this
  // table's find_lb is undefined.
  [[nodiscard]] bool allows(const PacketKey& key) const noexcept {
    return lookup_(image_set(), &key, 1) != 0;
  }

  // Bit i of the answer: allows(keys[i]). At most kBatchMax keys, any mix of policies, directions
  // and families.
  [[nodiscard]] std::uint64_t allows_batch(std::span<const PacketKey> keys) const noexcept {
    return lookup_(image_set(), keys.data(), keys.size());
  }

  // The rule that allows the key: of those that do, the one of the lowest group id, then the
  // first in that group's order. Slow (a cold index): asked once, when a flow opens.
  [[nodiscard]] std::optional<RuleRef> rule_of(const PacketKey& key) const noexcept;

  // The same table with the lookup of another instruction set, which this CPU must have.
  [[nodiscard]] std::shared_ptr<const Table> with(InstructionSet set) const;

  // The same table with its images copied into `memory`, such as a worker's own. Images that
  // `before`, an earlier replica in that memory, already holds are shared with it.
  // Throws what the memory throws (std::bad_alloc).
  [[nodiscard]] std::shared_ptr<const Table> replica(std::pmr::memory_resource& memory,
                                                     const Table* before) const;

  // Memory held by this table, shared parts counted once. Bytes.
  [[nodiscard]] std::size_t size_bytes() const;
  [[nodiscard]] std::size_t policies() const noexcept { return policies_in_use_; }
  [[nodiscard]] std::size_t load_balancers() const noexcept { return load_balancers_; }
  [[nodiscard]] std::vector<PolicyReport> policy_reports() const;
  // For tests and reports: `policy` as find_lb gives it.
  [[nodiscard]] const Policy& policy(PolicyIndex policy) const noexcept {
    return *policies_[policy];
  }

 private:
  friend class Compiler;

  [[nodiscard]] ImageSet image_set() const noexcept { return {images_.data(), levels_}; }

  std::uint64_t generation_ = 0;
  LookupBatch lookup_ = lookup_batch(best_instruction_set());
  std::shared_ptr<const LbIndex> lb_index_;
  std::vector<PolicyIndex> policy_of_;                   // by LbPlace
  std::vector<const Line*> images_;                      // policy * 2 + direction; null: no policy
  std::vector<std::shared_ptr<const Policy>> policies_;  // null: free for another policy
  TreeLevels levels_;                                    // of the deepest image
  std::size_t policies_in_use_ = 0;
  std::size_t load_balancers_ = 0;
};

}  // namespace sluice::rules
