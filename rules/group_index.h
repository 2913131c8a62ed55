// SPDX-License-Identifier: Apache-2.0
//
// The cold index: which rule of a group allows a packet. Asked when a flow opens, never per packet.
//
// One index a group, shared by every policy that holds the group; a policy asks its groups in
// order. For each axis and family the rules lie sorted by the first address of their network. The
// last that begins before the packet's address is searched, 16 at a time, and from there they are
// asked backwards, until none before reaches the address: each knows how far those up to it reach.
// The earliest in the group's order wins. Nothing is merged: memory is O(rules), building a sort.
//
// Cost: where networks lie apart, a line for each factor of 16 in the rules, and one; behind large
// networks, the blocks of 16 rules that one of them stands in.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "rules/lost_rules.h"
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
  // `generation`: the low half of the one that brings it. `before`: the group until then; null: not
  // known.
  GroupIndex(ResolvedGroup group, std::uint32_t generation, const GroupIndex* before);

  // The first rule, in the group's order, that allows the key; null: none. `key.policy` is not
  // looked at. A place, as an optional would be put together in memory and read back in another
  // size, which waits until all stores before it (a new flow's, to cold lines) are through.
  [[nodiscard]] const RuleRef* rule_of(const PacketKey& key) const noexcept;

  [[nodiscard]] const ResolvedGroup& group() const { return group_; }
  [[nodiscard]] GroupId id() const noexcept { return id_; }
  [[nodiscard]] const LostRules& lost() const noexcept { return lost_; }
  [[nodiscard]] std::size_t size_bytes() const noexcept;

 private:
  using Position = std::uint32_t;  // of a rule in the group
  static constexpr std::size_t kBlock = 16;

  // Rules of one (direction, axis, family), by the first address of their network.
  template <class Number>
  struct Axis {
    struct Row {
      Number to;                  // last address of the network
      Number reach;               // the greatest `to` of this row and all before
      std::uint16_t first, last;  // services
      Position position;
      RuleRef rule;
    };
    std::vector<Row> rows;
    std::vector<Number> block_to;  // the greatest `to` of each block
    // First addresses: of each row, of each block, of each 16 blocks, … up to one block of them.
    // Blocks are filled up with the family's last address.
    struct Level {
      std::size_t size = 0;  // without what fills up
      std::vector<Number> from;
    };
    std::vector<Level> levels;

    struct Entry {
      Number from, to;
      std::uint16_t first, last;
      Position position;
      RuleRef rule;
    };
    void fill(std::vector<Entry>& entries);
    // How many rows begin at the address or before.
    [[nodiscard]] std::size_t rows_to(Number address) const noexcept;
    // Null: none allows it.
    [[nodiscard]] const RuleRef* first_rule(Number address, std::uint16_t service) const noexcept;
    [[nodiscard]] std::size_t size_bytes() const noexcept;
  };
  template <class Number>
  using Axes = std::array<std::array<Axis<Number>, kAxes>, 2>;  // by direction

  GroupId id_ = 0;
  LostRules lost_;
  ResolvedGroup group_;
  Axes<std::uint32_t> ipv4_;
  Axes<Uint128> ipv6_;
};

}  // namespace sluice::rules
