// SPDX-License-Identifier: Apache-2.0
#include "rules/explain.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "rules/iana_protocols.h"
#include "rules/validate.h"

namespace sluice::rules {
namespace {

bool has_ports(std::uint8_t protocol) {
  return protocol == kProtocolTcp || protocol == kProtocolUdp || protocol == kProtocolSctp;
}
bool is_icmp(std::uint8_t protocol) {
  return protocol == kProtocolIcmp || protocol == kProtocolIcmpv6;
}

// Of the axes that a rule stands on, is the packet's one?
bool names_protocol(const Rule& rule, std::uint8_t protocol) {
  switch (rule.protocol.kind) {
    case ProtocolKind::all:
      return true;
    case ProtocolKind::all_tcp:
    case ProtocolKind::custom_tcp:
      return protocol == kProtocolTcp;
    case ProtocolKind::all_udp:
    case ProtocolKind::custom_udp:
      return protocol == kProtocolUdp;
    case ProtocolKind::sctp:
      return protocol == kProtocolSctp;
    case ProtocolKind::icmp:
      return protocol == kProtocolIcmp || (protocol == kProtocolIcmpv6 && !rule.icmp_type);
    case ProtocolKind::icmpv6:
      return protocol == kProtocolIcmpv6;
    case ProtocolKind::number:
      return protocol == rule.protocol.number;
  }
  return false;
}

bool holds_port(const PortSet& ports, std::uint16_t port) {
  return std::any_of(ports.ranges.begin(), ports.ranges.end(), [port](const PortRange& range) {
    return range.first <= port && port <= range.last;
  });
}

// A rule that names ports or a type fails in them also where the packet has none.
MissSet misses_of(const Rule& rule, const ResolvedGroup& group, const PacketKey& key) {
  MissSet missed;
  if (rule.direction != key.direction) missed.add(MissField::direction);
  if (!names_protocol(rule, key.protocol)) missed.add(MissField::protocol);
  if (!rule.ports.is_all() && !(has_ports(key.protocol) && holds_port(rule.ports, key.service)))
    missed.add(MissField::port_range);
  const bool icmp = is_icmp(key.protocol);
  if (rule.icmp_type && !(icmp && *rule.icmp_type == key.service >> 8))
    missed.add(MissField::icmp_type);
  if (rule.icmp_code && !(icmp && *rule.icmp_code == (key.service & 0xff)))
    missed.add(MissField::icmp_code);
  if (rule.network.type != NetworkType::any) {
    const std::vector<AddressRange> networks = group.networks(rule);
    if (std::none_of(networks.begin(), networks.end(),
                     [&](const AddressRange& range) { return range.contains(key.remote); }))
      missed.add(MissField::network);
  }
  return missed;
}

std::string protocol_text(std::uint8_t protocol) {
  const std::string_view name = iana_protocol_name(protocol);
  return name.empty() ? fmt::format("protocol {}", protocol) : std::string(name);
}

std::string_view preposition(Direction direction) {
  return direction == Direction::inbound ? "from" : "to";
}

// As a CIDR where the range is one.
std::string range_text(const AddressRange& range) {
  const Uint128 less_one = range.last.value() - range.first.value();
  const bool is_power = (less_one & (less_one + 1)) == 0;
  if (less_one == 0) return to_string(range.first);
  if (!is_power || (range.first.value() & less_one) != 0)
    return fmt::format("{}-{}", to_string(range.first), to_string(range.last));
  std::uint8_t length = range.first.family == Family::ipv4 ? 32 : 128;
  for (Uint128 left = less_one; left != 0; left >>= 1) --length;
  return to_string(Prefix{range.first, length});
}

std::string network_text(const Rule& rule, const ResolvedGroup& group) {
  switch (rule.network.type) {
    case NetworkType::any:
      return "any";
    case NetworkType::manual:
      return range_text(rule.network.range);
    case NetworkType::my_network:
      break;
  }
  for (const auto& vpc : group.vpcs)
    if (vpc->id == rule.network.vpc) return fmt::format("VPC {} (vpc_{})", vpc->name, vpc->id);
  return fmt::format("vpc_{}", rule.network.vpc);
}

std::string service_text(const Rule& rule) {
  std::string text = to_string(rule.protocol);
  if (!rule.ports.is_all()) text += " " + to_string(rule.ports);
  if (rule.icmp_type) text += fmt::format(" type {}", *rule.icmp_type);
  if (rule.icmp_code) text += fmt::format(" code {}", *rule.icmp_code);
  return text;
}

std::string miss_text(MissField field, const FoundRule& found, const PacketKey& key) {
  const Rule& rule = found.rule();
  const bool icmp = is_icmp(key.protocol);
  switch (field) {
    case MissField::direction:
      return fmt::format("the packet is {}, the rule {}", to_string(key.direction),
                         to_string(rule.direction));
    case MissField::protocol:
      return fmt::format("{} is not {}", protocol_text(key.protocol), to_string(rule.protocol));
    case MissField::port_range:
      if (!has_ports(key.protocol))
        return fmt::format("{} has no ports", protocol_text(key.protocol));
      return fmt::format("port {} is not in {}", key.service, to_string(rule.ports));
    case MissField::icmp_type:
      if (!icmp) return fmt::format("{} has no ICMP type", protocol_text(key.protocol));
      return fmt::format("ICMP type {} is not {}", key.service >> 8, *rule.icmp_type);
    case MissField::icmp_code:
      if (!icmp) return fmt::format("{} has no ICMP code", protocol_text(key.protocol));
      return fmt::format("ICMP code {} is not {}", key.service & 0xff, *rule.icmp_code);
    case MissField::network:
      return fmt::format("{} is not in {}", to_string(key.remote),
                         network_text(rule, found.index->group()));
  }
  return "";
}

}  // namespace

std::string_view to_string(MissField field) {
  constexpr std::array<std::string_view, kMissFields> names{
      "icmp_code", "icmp_type", "port_range", "network", "protocol_name", "rule_type"};
  return names[static_cast<std::size_t>(field)];
}

Explanation explain(std::span<const std::shared_ptr<const GroupIndex>> groups,
                    const PacketKey& key) {
  Explanation explanation;
  for (const auto& index : groups) {
    const ResolvedGroup& group = index->group();
    const std::vector<Rule>& rules = group.group->rules;
    for (std::size_t i = 0; i < rules.size(); ++i) {
      const MissSet missed = misses_of(rules[i], group, key);
      if (missed.count() == 0) {
        explanation.allowing.push_back({index, i});
      } else if (!explanation.nearest || missed.is_nearer(explanation.nearest->missed)) {
        explanation.nearest = NearestMiss{{index, i}, missed};
      }
    }
  }
  if (!explanation.allowing.empty()) explanation.nearest.reset();
  return explanation;
}

std::optional<FoundRule> find_rule(std::span<const std::shared_ptr<const GroupIndex>> groups,
                                   RuleRef ref) {
  for (const auto& index : groups) {
    if (index->group().group->id != ref.group) continue;
    const std::vector<Rule>& rules = index->group().group->rules;
    for (std::size_t i = 0; i < rules.size(); ++i)
      if (rules[i].id == ref.rule) return FoundRule{index, i};
  }
  return std::nullopt;
}

std::string describe(const PacketKey& key) {
  std::string text = fmt::format("{} {}", to_string(key.direction), protocol_text(key.protocol));
  if (has_ports(key.protocol)) text += fmt::format(" to port {}", key.service);
  if (is_icmp(key.protocol))
    text += fmt::format(" type {} code {}", key.service >> 8, key.service & 0xff);
  return fmt::format("{} {} {}", text, preposition(key.direction), to_string(key.remote));
}

std::string describe(const FoundRule& found) {
  const Rule& rule = found.rule();
  return fmt::format("rule {} of group {} ({} {} {} {})", rule.id, found.group().name,
                     to_string(rule.direction), service_text(rule), preposition(rule.direction),
                     network_text(rule, found.index->group()));
}

std::string describe_miss(const NearestMiss& miss, const PacketKey& key) {
  std::string text;
  for (int i = kMissFields - 1; i >= 0; --i) {
    const auto field = static_cast<MissField>(i);
    if (!miss.missed.has(field)) continue;
    text += (text.empty() ? "" : "; ") + miss_text(field, miss.found, key);
  }
  return text;
}

std::string sentence_of(const Explanation& explanation, const PacketKey& key) {
  if (!explanation.allowing.empty()) {
    const std::size_t others = explanation.allowing.size() - 1;
    std::string text =
        fmt::format("{} is allowed by {}", describe(key), describe(explanation.allowing.front()));
    if (others != 0) text += fmt::format(" and {} other{}", others, others == 1 ? "" : "s");
    return text + ".";
  }
  if (!explanation.nearest) {
    return fmt::format("No rule allows {}: no group with rules is attached.", describe(key));
  }
  return fmt::format("No rule allows {}. The nearest is {}: {}.", describe(key),
                     describe(explanation.nearest->found),
                     describe_miss(*explanation.nearest, key));
}

}  // namespace sluice::rules
