// SPDX-License-Identifier: Apache-2.0
//
// The system rules as a table holds them: who of them allows a packet, and what is left to tenants.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "rules/group_index.h"
#include "rules/system_rules.h"

namespace sluice::rules {

class SystemIndex {
 public:
  // `generation`: the low half of the one that brings them.
  SystemIndex(std::shared_ptr<const SystemRules> rules, std::uint32_t generation);

  // As in every policy of the node.
  [[nodiscard]] const GroupIndex& index() const { return index_; }

  // Do the system rules alone decide the key's service?
  [[nodiscard]] bool reserves(const PacketKey& key) const noexcept;
  // What of `spans` the tenants' rules decide.
  [[nodiscard]] std::vector<ServiceSpan> left_of(std::vector<ServiceSpan> spans,
                                                 Direction direction) const;

  [[nodiscard]] std::size_t size_bytes() const noexcept {
    return sizeof(*this) + index_.size_bytes();
  }

 private:
  GroupIndex index_;
  // By direction: sorted, apart on each axis.
  std::array<std::vector<ServiceSpan>, 2> reserved_;
};

}  // namespace sluice::rules
