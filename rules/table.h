// SPDX-License-Identifier: Apache-2.0
//
// The table: every policy of the node in the immutable form that workers look packets up in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "rules/packet_key.h"

namespace sluice::rules {

class PolicyTable;  // one (policy, direction)

inline constexpr std::size_t kBatchMax = 64;

// An LB address found in the table.
struct LbMatch {
  LbId lb = 0;  // 0: no LB owns the address
  PolicyIndex policy = 0;
};

class Table {
 public:
  // Grows by one per publish; 0 is never published.
  [[nodiscard]] std::uint64_t generation() const noexcept { return generation_; }

  // The LB that owns `local` in `zone` (index in the node's zone list).
  [[nodiscard]] LbMatch find_lb(std::uint16_t zone, const Address& local) const noexcept;

  // Does a rule of the key's policy and direction allow it? Any policy index but one from this
  // table's find_lb is undefined.
  [[nodiscard]] bool allows(const PacketKey& key) const noexcept;

  // Bit i of the answer: allows(keys[i]). At most kBatchMax keys, any mix of policies, directions
  // and families; independent misses overlap.
  [[nodiscard]] std::uint64_t allows_batch(std::span<const PacketKey> keys) const noexcept;

  // The rule that allows the key: of those that do, the one of the lowest group id, then the
  // first in that group's order. Slow (a cold index): asked once, when a flow opens.
  [[nodiscard]] std::optional<RuleRef> rule_of(const PacketKey& key) const noexcept;

  // Memory held by this table, shared parts counted once. Bytes.
  [[nodiscard]] std::size_t size_bytes() const noexcept;

 private:
  friend class Compiler;
  std::uint64_t generation_ = 0;
};

}  // namespace sluice::rules
