// SPDX-License-Identifier: Apache-2.0
//
// The cold index: which rule of a group allows a packet. Asked when a flow opens, never per packet.
//
// One index a group, shared by every policy that holds the group; a policy asks its groups in
// order. For each axis and family the rules lie sorted by the first address of their network, in
// blocks that know the greatest last address in them. A block is looked into only if it may reach
// the packet's address; all rules of a block are compared at once, and the earliest in the group's
// order wins. No trees, no merging: memory is O(rules), building is a sort.
//
// Cost: the rules are read in runs of 16; those of /8-/32 networks leave a few blocks of many.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "rules/packet_key.h"
#include "rules/service_axis.h"

namespace sluice::rules {

// A group with the VPCs that its rules name, as of one version of the node.
struct ResolvedGroup {
  std::shared_ptr<const Group> group;
  std::vector<std::shared_ptr<const Vpc>> vpcs;  // by id; only those named by a rule
  // The networks of a rule of this group; `any` is the whole of both families.
  [[nodiscard]] std::vector<AddressRange> networks(const Rule& rule) const;
  bool operator==(const ResolvedGroup&) const = default;
};

class GroupIndex {
 public:
  explicit GroupIndex(ResolvedGroup group);

  // The first rule, in the group's order, that allows the key. `key.policy` is not looked at.
  [[nodiscard]] std::optional<RuleRef> rule_of(const PacketKey& key) const noexcept;

  [[nodiscard]] const ResolvedGroup& group() const { return group_; }
  [[nodiscard]] std::size_t size_bytes() const noexcept;

 private:
  using Position = std::uint32_t;  // of a rule in the group
  static constexpr Position kNone = ~Position{0};
  static constexpr std::size_t kBlock = 16;

  // Rules of one (direction, axis, family), in columns; the last block is filled up with rules
  // that no address reaches.
  template <class Number>
  struct Axis {
    std::vector<Number> from, to;
    std::vector<std::uint16_t> first, last;  // services
    std::vector<Position> position;
    std::vector<Number> block_from, block_to;  // least from, greatest to of each block

    struct Entry {
      Number from, to;
      std::uint16_t first, last;
      Position position;
    };
    void fill(std::vector<Entry>& entries);
    [[nodiscard]] Position first_rule(Number address, std::uint16_t service) const noexcept;
    [[nodiscard]] std::size_t size_bytes() const noexcept;
  };
  template <class Number>
  using Axes = std::array<std::array<Axis<Number>, kAxes>, 2>;  // by direction

  ResolvedGroup group_;
  Axes<std::uint32_t> ipv4_;
  Axes<Uint128> ipv6_;
};

}  // namespace sluice::rules
