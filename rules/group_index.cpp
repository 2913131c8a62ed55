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
  Number reach = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const Entry& entry = entries[i];
    reach = std::max(reach, entry.to);
    if (i % kBlock == 0) block_to.push_back(entry.to);
    block_to.back() = std::max(block_to.back(), entry.to);
    rows.push_back({entry.to, reach, entry.first, entry.last, entry.position, entry.rule});
  }
  std::vector<Number> from;
  for (const Entry& entry : entries) from.push_back(entry.from);
  while (!from.empty()) {
    std::vector<Number> above;
    for (std::size_t i = 0; i < from.size() && from.size() > kBlock; i += kBlock)
      above.push_back(from[i]);
    const std::size_t size = from.size();
    from.resize((size + kBlock - 1) / kBlock * kBlock, static_cast<Number>(~Number{0}));
    levels.push_back({size, std::move(from)});
    from = std::move(above);
  }
}

GroupIndex::GroupIndex(ResolvedGroup group, std::uint32_t generation, const GroupIndex* before)
    : id_(group.group->id),
      lost_(before == nullptr ? LostRules(generation)
                              : LostRules(before->lost_, generation, before->group_, group)),
      group_(std::move(group)) {
  std::array<std::array<std::vector<Axis<std::uint32_t>::Entry>, kAxes>, 2> ipv4;
  std::array<std::array<std::vector<Axis<Uint128>::Entry>, kAxes>, 2> ipv6;
  const std::vector<Rule>& rules = group_.group->rules;
  const GroupId id = group_.group->id;
  for (Position i = 0; i < rules.size(); ++i) {
    const auto direction = static_cast<std::size_t>(rules[i].direction);
    const std::vector<AddressRange> networks = group_.networks(rules[i]);
    for (const ServiceSpan& span : service_spans(rules[i])) {
      for (const AddressRange& range : networks) {
        if (range.first.family == Family::ipv4) {
          ipv4[direction][span.axis].push_back({static_cast<std::uint32_t>(range.first.low),
                                                static_cast<std::uint32_t>(range.last.low),
                                                span.first, span.last, i,
                                                RuleRef{id, rules[i].id}});
        } else {
          ipv6[direction][span.axis].push_back({range.first.value(), range.last.value(), span.first,
                                                span.last, i, RuleRef{id, rules[i].id}});
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
std::size_t GroupIndex::Axis<Number>::rows_to(Number address) const noexcept {
  std::size_t at = 0;
  for (std::size_t i = levels.size(); i-- > 0;) {
    const Number* from = &levels[i].from[at * kBlock];
    std::size_t count = 0;
    for (std::size_t k = 0; k < kBlock; ++k) count += from[k] <= address ? 1 : 0;
    if (count == 0) return 0;  // before all
    at = std::min(at * kBlock + count, levels[i].size) - 1;
  }
  return levels.empty() ? 0 : at + 1;
}

template <class Number>
auto GroupIndex::Axis<Number>::first_rule(Number address, std::uint16_t service) const noexcept
    -> const RuleRef* {
  std::size_t row = rows_to(address);
  const Row* best = nullptr;
  while (row-- > 0 && rows[row].reach >= address) {
    const Row& rule = rows[row];
    if (row % kBlock == kBlock - 1 && block_to[row / kBlock] < address) {
      row -= kBlock - 1;
      continue;
    }
    const bool allows = (address <= rule.to) & (rule.first <= service) & (service <= rule.last);
    if (allows && (best == nullptr || rule.position < best->position)) best = &rule;
  }
  return best == nullptr ? nullptr : &best->rule;
}

template <class Number>
std::size_t GroupIndex::Axis<Number>::size_bytes() const noexcept {
  std::size_t bytes = rows.size() * sizeof(Row) + block_to.size() * sizeof(Number);
  for (const Level& level : levels) bytes += level.from.size() * sizeof(Number);
  return bytes;
}

const RuleRef* GroupIndex::rule_of(const PacketKey& key) const noexcept {
  const ServicePoint point = service_point(key.protocol, key.service);
  const auto direction = static_cast<std::size_t>(key.direction);
  return key.remote.family == Family::ipv4
             ? ipv4_[direction][point.axis].first_rule(static_cast<std::uint32_t>(key.remote.low),
                                                       point.number)
             : ipv6_[direction][point.axis].first_rule(key.remote.value(), point.number);
}

std::size_t GroupIndex::size_bytes() const noexcept {
  std::size_t bytes = sizeof(*this) + lost_.size_bytes();
  for (std::size_t direction = 0; direction < 2; ++direction) {
    for (std::size_t axis = 0; axis < kAxes; ++axis)
      bytes += ipv4_[direction][axis].size_bytes() + ipv6_[direction][axis].size_bytes();
  }
  return bytes;
}

}  // namespace sluice::rules
