// SPDX-License-Identifier: Apache-2.0
#include "rules/group_index.h"

#include <algorithm>

namespace sluice::rules {

std::vector<AddressRange> ResolvedGroup::networks(const Rule& rule) const {
  switch (rule.network.type) {
    case NetworkType::any:
      return {whole_family(Family::ipv4), whole_family(Family::ipv6)};
    case NetworkType::manual:
      return {rule.network.range};
    case NetworkType::my_network:
      break;
  }
  std::vector<AddressRange> ranges;
  for (const auto& vpc : vpcs) {
    if (vpc->id != rule.network.vpc) continue;
    for (const Prefix& prefix : vpc->prefixes) ranges.push_back(range_of(prefix));
  }
  return ranges;
}

template <class Number>
void GroupIndex::Axis<Number>::fill(std::vector<Entry>& entries) {
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.from < b.from; });
  const std::size_t blocks = (entries.size() + kBlock - 1) / kBlock;
  from.assign(blocks * kBlock, static_cast<Number>(~Number{0}));
  to.assign(blocks * kBlock, 0);
  first.assign(blocks * kBlock, 0);
  last.assign(blocks * kBlock, 0);
  position.assign(blocks * kBlock, kNone);
  block_to.assign(blocks, 0);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const Entry& entry = entries[i];
    if (i % kBlock == 0) block_from.push_back(entry.from);
    block_to[i / kBlock] = std::max(block_to[i / kBlock], entry.to);
    from[i] = entry.from;
    to[i] = entry.to;
    first[i] = entry.first;
    last[i] = entry.last;
    position[i] = entry.position;
  }
}

GroupIndex::GroupIndex(ResolvedGroup group) : group_(std::move(group)) {
  std::array<std::array<std::vector<Axis<std::uint32_t>::Entry>, kAxes>, 2> ipv4;
  std::array<std::array<std::vector<Axis<Uint128>::Entry>, kAxes>, 2> ipv6;
  const std::vector<Rule>& rules = group_.group->rules;
  for (Position i = 0; i < rules.size(); ++i) {
    const auto direction = static_cast<std::size_t>(rules[i].direction);
    const std::vector<AddressRange> networks = group_.networks(rules[i]);
    for (const ServiceSpan& span : service_spans(rules[i])) {
      for (const AddressRange& range : networks) {
        if (range.first.family == Family::ipv4) {
          ipv4[direction][span.axis].push_back({static_cast<std::uint32_t>(range.first.low),
                                                static_cast<std::uint32_t>(range.last.low),
                                                span.first, span.last, i});
        } else {
          ipv6[direction][span.axis].push_back(
              {range.first.value(), range.last.value(), span.first, span.last, i});
        }
      }
    }
  }
  for (std::size_t direction = 0; direction < 2; ++direction) {
    for (std::size_t axis = 0; axis < kAxes; ++axis) {
      ipv4_[direction][axis].fill(ipv4[direction][axis]);
      ipv6_[direction][axis].fill(ipv6[direction][axis]);
    }
  }
}

template <class Number>
GroupIndex::Position GroupIndex::Axis<Number>::first_rule(Number address,
                                                          std::uint16_t service) const noexcept {
  Position best = kNone;
  // Blocks from `end` on begin behind the address.
  const auto end = static_cast<std::size_t>(
      std::upper_bound(block_from.begin(), block_from.end(), address) - block_from.begin());
  for (std::size_t block = 0; block < end; ++block) {
    if (block_to[block] < address) continue;
    for (std::size_t i = block * kBlock; i < (block + 1) * kBlock; ++i) {
      const bool allows =
          (from[i] <= address) & (address <= to[i]) & (first[i] <= service) & (service <= last[i]);
      const Position candidate = allows ? position[i] : kNone;
      best = candidate < best ? candidate : best;
    }
  }
  return best;
}

template <class Number>
std::size_t GroupIndex::Axis<Number>::size_bytes() const noexcept {
  return from.size() * (2 * sizeof(Number) + 2 * sizeof(std::uint16_t) + sizeof(Position)) +
         block_from.size() * 2 * sizeof(Number);
}

std::optional<RuleRef> GroupIndex::rule_of(const PacketKey& key) const noexcept {
  const ServicePoint point = service_point(key.protocol, key.service);
  const auto direction = static_cast<std::size_t>(key.direction);
  const Position first =
      key.remote.family == Family::ipv4
          ? ipv4_[direction][point.axis].first_rule(static_cast<std::uint32_t>(key.remote.low),
                                                    point.number)
          : ipv6_[direction][point.axis].first_rule(key.remote.value(), point.number);
  if (first == kNone) return std::nullopt;
  return RuleRef{group_.group->id, group_.group->rules[first].id};
}

std::size_t GroupIndex::size_bytes() const noexcept {
  std::size_t bytes = sizeof(*this);
  for (std::size_t direction = 0; direction < 2; ++direction) {
    for (std::size_t axis = 0; axis < kAxes; ++axis)
      bytes += ipv4_[direction][axis].size_bytes() + ipv6_[direction][axis].size_bytes();
  }
  return bytes;
}

}  // namespace sluice::rules
