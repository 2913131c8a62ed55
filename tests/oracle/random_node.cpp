// SPDX-License-Identifier: Apache-2.0
#include "tests/oracle/random_node.h"

#include <array>
#include <iterator>

#include "rules/system_rules.h"

namespace sluice::oracle {
namespace {

using namespace rules;

std::uint16_t random_port(Random& random) {
  constexpr std::array<std::uint16_t, 8> kPopular{0, 1, 80, 443, 8080, 8081, 65534, 65535};
  return chance(random, 60) ? kPopular[below(random, kPopular.size())]
                            : static_cast<std::uint16_t>(random());
}

// Few distinct addresses, so that rules overlap, nest and touch.
Address random_address(Random& random, Family family) {
  if (family == Family::ipv4) {
    if (chance(random, 10)) return Address::ipv4(chance(random, 50) ? 0 : 0xffffffff);
    if (chance(random, 20)) return Address::ipv4(static_cast<std::uint32_t>(random()));
    return Address::ipv4(0x0a000000 + static_cast<std::uint32_t>(below(random, 64)));
  }
  if (chance(random, 10))
    return chance(random, 50) ? Address::ipv6(0, 0) : Address::ipv6(~0ull, ~0ull);
  if (chance(random, 20)) return Address::ipv6(random(), random());
  return Address::ipv6(0x20010db8ull << 32, below(random, 64) - (chance(random, 30) ? 32 : 0));
}

AddressRange random_range(Random& random) {
  const Family family = chance(random, 60) ? Family::ipv4 : Family::ipv6;
  if (chance(random, 5)) return whole_family(family);
  const Address first = random_address(random, family);
  const Uint128 room = address_max(family) - first.value();
  Uint128 more = chance(random, 40) ? 0 : below(random, 16);
  if (chance(random, 20)) {
    const unsigned bits = family == Family::ipv4 ? 32 : 128;
    more = (Uint128{1} << below(random, bits)) - 1;
  }
  if (chance(random, 5)) more = room;
  return {first, Address::of(family, first.value() + (more < room ? more : room))};
}

Rule random_rule(Random& random, RuleId id) {
  Rule rule;
  rule.id = id;
  rule.direction = chance(random, 50) ? Direction::inbound : Direction::outbound;
  rule.protocol.kind = static_cast<ProtocolKind>(below(random, 9));
  if (chance(random, 40)) rule.protocol.kind = ProtocolKind::custom_tcp;
  if (rule.protocol.kind == ProtocolKind::number)
    rule.protocol.number = static_cast<std::uint8_t>(chance(random, 50) ? 47 : random());
  const ProtocolKind kind = rule.protocol.kind;
  if (kind == ProtocolKind::custom_tcp || kind == ProtocolKind::custom_udp ||
      kind == ProtocolKind::sctp) {
    rule.ports.ranges.clear();
    std::uint32_t next = 0;  // sorted, disjoint, not adjacent
    const std::size_t items = chance(random, 8) ? 1 + below(random, 64) : 1 + below(random, 3);
    for (std::size_t i = 0; i < items && next <= 65535; ++i) {
      const std::uint32_t first =
          items > 3 ? next : std::max<std::uint32_t>(next, random_port(random));
      const std::uint32_t last = std::min<std::uint32_t>(
          65535, first + (chance(random, 50)
                              ? 0
                              : static_cast<std::uint32_t>(below(random, items > 3 ? 20 : 2000))));
      rule.ports.ranges.push_back(
          {static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(last)});
      next = last + 2 + (items > 3 ? static_cast<std::uint32_t>(below(random, 900)) : 0);
    }
  }
  if ((kind == ProtocolKind::icmp || kind == ProtocolKind::icmpv6) && chance(random, 50)) {
    rule.icmp_type = static_cast<std::uint8_t>(chance(random, 50) ? 8 : random());
    if (chance(random, 50)) rule.icmp_code = static_cast<std::uint8_t>(below(random, 4));
  }
  if (chance(random, 10)) {
    rule.network = {NetworkType::my_network, {}, 1};
  } else if (chance(random, 80)) {
    rule.network = {NetworkType::manual, random_range(random), 0};
  }
  return rule;
}

// Onto, or one beside, a border of the rule.
void move_to_border(PacketKey& key, Random& random, const Rule& rule) {
  if (chance(random, 60) && rule.network.type == NetworkType::manual) {
    const Address edge = chance(random, 50) ? rule.network.range.first : rule.network.range.last;
    const Uint128 moved = edge.value() + below(random, 3) - 1;
    key.remote = Address::of(edge.family, moved & address_max(edge.family));
  }
  if (chance(random, 60) && !rule.ports.ranges.empty()) {
    const PortRange& range = rule.ports.ranges[below(random, rule.ports.ranges.size())];
    key.service = static_cast<std::uint16_t>((chance(random, 50) ? range.first : range.last) +
                                             below(random, 3) - 1);
  }
  if (chance(random, 30) && rule.icmp_type)
    key.service = static_cast<std::uint16_t>(*rule.icmp_type * 256 + below(random, 3));
}

}  // namespace

std::shared_ptr<const SystemRules> random_system_rules(Random& random, std::size_t rules_max) {
  auto system = std::make_shared<SystemRules>();
  system->group.id = kSystemGroupId;
  system->group.name = kSystemGroupName;
  RuleId id = kSystemRuleIdMin;
  for (std::size_t i = 0; i < below(random, rules_max + 1); ++i) {
    Rule rule = random_rule(random, id++);
    if (rule.network.type == NetworkType::my_network) rule.network = {};
    if (chance(random, 50)) system->reserving.insert(rule.id);
    system->group.rules.push_back(std::move(rule));
  }
  return system;
}

Node random_node(Random& random, const NodeShape& shape) {
  Node node;
  node.vpcs[1] = std::make_shared<const Vpc>(Vpc{
      1, "vpc", {{Address::ipv4(0x0a000010), 28}, {Address::ipv6(0x20010db8ull << 32, 0), 124}}});
  RuleId rule = 1;
  for (GroupId id = 1; id <= shape.groups; ++id) {
    Group group;
    group.id = id;
    group.name = "g" + std::to_string(id);
    for (std::size_t i = 0; i < below(random, shape.rules_per_group * 2) + 1; ++i)
      group.rules.push_back(random_rule(random, rule++));
    node.groups[id] = std::make_shared<const Group>(std::move(group));
  }
  for (LbId id = 1; id <= shape.load_balancers; ++id) {
    LoadBalancer lb;
    lb.id = id;
    lb.name = "lb" + std::to_string(id);
    lb.addresses = {{Address::ipv4(0x0aff0000 + id), AddressKind::private_ip},
                    {Address::ipv6(0xfd00ull << 48, id), AddressKind::private_ip}};
    for (GroupId group = 1; group <= shape.groups; ++group)
      if (chance(random, 50)) lb.groups.push_back(group);
    node.load_balancers[id] = std::make_shared<const LoadBalancer>(std::move(lb));
  }
  if (shape.system_rules != 0) node.system_rules = random_system_rules(random, shape.system_rules);
  return node;
}

PacketKey random_packet(Random& random, const Node& node) {
  PacketKey key;
  constexpr std::array<std::uint8_t, 8> kProtocols{6, 6, 6, 17, 1, 58, 132, 47};
  key.direction = chance(random, 50) ? Direction::inbound : Direction::outbound;
  key.protocol = chance(random, 90) ? kProtocols[below(random, kProtocols.size())]
                                    : static_cast<std::uint8_t>(random());
  key.service = random_port(random);
  key.remote = random_address(random, chance(random, 60) ? Family::ipv4 : Family::ipv6);
  const bool system =
      node.system_rules != nullptr && !node.system_rules->group.rules.empty() && chance(random, 40);
  if (system || !node.groups.empty()) {
    const Group& group =
        system ? node.system_rules->group
               : *std::next(node.groups.begin(),
                            static_cast<std::ptrdiff_t>(below(random, node.groups.size())))
                      ->second;
    if (!group.rules.empty())
      move_to_border(key, random, group.rules[below(random, group.rules.size())]);
  }
  const bool has_service = key.protocol == 6 || key.protocol == 17 || key.protocol == 132 ||
                           key.protocol == 1 || key.protocol == 58;
  if (!has_service) key.service = key.protocol;
  return key;
}

}  // namespace sluice::oracle
