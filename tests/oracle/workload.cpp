// SPDX-License-Identifier: Apache-2.0
#include "tests/oracle/workload.h"

#include <algorithm>
#include <array>
#include <set>

#include "tests/oracle/oracle.h"

namespace sluice::oracle {
namespace {

using namespace rules;

constexpr std::array<std::uint16_t, 20> kPopularPorts{22,   25,   53,   80,   110,  123,  143,
                                                      161,  443,  993,  1433, 3306, 3389, 5432,
                                                      5601, 6379, 8080, 8443, 9200, 27017};

PortSet one_range(std::uint32_t first, std::uint32_t more) {
  return {{{static_cast<std::uint16_t>(first),
            static_cast<std::uint16_t>(std::min<std::uint32_t>(first + more, 65535))}}};
}

PortSet tenant_ports(Random& random) {
  if (chance(random, 50)) return one_range(kPopularPorts[below(random, kPopularPorts.size())], 0);
  const auto first = static_cast<std::uint32_t>(1024 + below(random, 64000));
  return one_range(first, chance(random, 70) ? 0 : static_cast<std::uint32_t>(below(random, 1000)));
}

// Many hosts and /24s, some large blocks.
AddressRange tenant_network(Random& random, Family family) {
  const std::uint64_t kind = below(random, 100);
  unsigned length = kind < 30 ? 32 : kind < 55 ? 24 : kind < 65 ? 16 : 0;
  if (length == 0) length = 8 + static_cast<unsigned>(below(random, 25));
  if (family == Family::ipv4) {
    const auto bits = static_cast<std::uint32_t>(random());
    const std::uint32_t host = length == 32 ? 0 : ~std::uint32_t{0} >> length;
    return range_of({Address::ipv4(bits & ~host), static_cast<std::uint8_t>(length)});
  }
  // The same shape from /32 on; half of the hosts have a whole interface identifier. Half of the
  // networks are the tenant's own, in a few /32s, the others anywhere that is given out.
  unsigned long_length = 24 + length;
  if (length == 32) long_length = 128;
  const std::uint64_t top = chance(random, 50) ? 0x20010db8u + below(random, 8)
                                               : 0x20000000u + below(random, 0x20000000u);
  Uint128 bits = (Uint128{top} << 96) | (Uint128{random() & 0xffffffffu} << 64) | random();
  if (long_length < 128) bits &= ~Uint128{0} << (128 - long_length);
  return range_of({Address::of(family, bits), static_cast<std::uint8_t>(long_length)});
}

Rule tenant_rule(Random& random, Family family) {
  Rule rule;
  const std::uint64_t kind = below(random, 100);
  if (kind < 72) {
    rule.protocol.kind = ProtocolKind::custom_tcp;
    rule.ports = tenant_ports(random);
  } else if (kind < 88) {
    rule.protocol.kind = ProtocolKind::custom_udp;
    rule.ports = tenant_ports(random);
  } else if (kind < 93) {
    rule.protocol.kind = family == Family::ipv4 ? ProtocolKind::icmp : ProtocolKind::icmpv6;
    if (chance(random, 50)) rule.icmp_type = family == Family::ipv4 ? 8 : 128;
  } else if (kind < 96) {
    rule.protocol.kind = ProtocolKind::all_tcp;
  } else if (kind < 98) {
    rule.protocol = {ProtocolKind::number, 47};
  } else {
    rule.protocol.kind = ProtocolKind::all;
  }
  // What is open to everybody has a port.
  if (kind < 88 && chance(random, 12)) return rule;
  rule.network = {NetworkType::manual, tenant_network(random, family), 0};
  return rule;
}

Rule arbitrary_rule(Random& random, Family family) {
  Rule rule;
  rule.protocol.kind = chance(random, 75) ? ProtocolKind::custom_tcp : ProtocolKind::custom_udp;
  rule.ports = one_range(static_cast<std::uint32_t>(below(random, 65000)),
                         static_cast<std::uint32_t>(below(random, 500)));
  rule.network = {NetworkType::manual, tenant_network(random, family), 0};
  return rule;
}

// Chains of networks, one longer prefix inside the other, each with a port of its own.
Rule nested_rule(Family family, std::size_t index) {
  static constexpr unsigned kDepth = 24;
  const auto depth = static_cast<unsigned>(index % kDepth);
  Random chain(index / kDepth * 7919 + 1);
  const unsigned bits = family == Family::ipv4 ? 32 : 128;
  const unsigned length = bits - kDepth + 1 + depth;
  Uint128 address = (static_cast<Uint128>(chain()) << 64) | chain();
  if (family == Family::ipv4) address = static_cast<std::uint32_t>(chain());
  if (family == Family::ipv6) address = (address >> 8) | (Uint128{0x20} << 120);
  address &= address_max(family) << (bits - length) & address_max(family);
  Rule rule;
  rule.protocol.kind = ProtocolKind::custom_tcp;
  rule.ports = one_range(static_cast<std::uint32_t>((index * 13 + 1) % 65536), 0);
  rule.network = {NetworkType::manual,
                  range_of({Address::of(family, address), static_cast<std::uint8_t>(length)}), 0};
  return rule;
}

Group workload_group(const WorkloadShape& shape, Random& random, GroupId id) {
  Group group;
  group.id = id;
  group.name = "g" + std::to_string(id);
  for (std::size_t i = 0; i < shape.rules_per_group; ++i) {
    Rule rule;
    switch (shape.style) {
      case RuleStyle::security_group:
        rule = tenant_rule(random, shape.family);
        break;
      case RuleStyle::arbitrary_ports:
        rule = arbitrary_rule(random, shape.family);
        break;
      case RuleStyle::nested:
        rule = nested_rule(shape.family, i);
        break;
    }
    group.rules.push_back(rule);
  }
  Rule outbound;
  outbound.direction = Direction::outbound;
  group.rules.push_back(outbound);
  for (Rule& rule : group.rules)
    rule.id = static_cast<RuleId>(id * 1'000'000 + (&rule - group.rules.data()) + 1);
  return group;
}

std::vector<GroupId> draw_groups(const WorkloadShape& shape, Random& random, LbId lb) {
  if (shape.groups == shape.load_balancers && shape.groups_per_lb == 1) return {lb};
  std::set<GroupId> ids;
  if (shape.common_group) ids.insert(1);
  while (ids.size() < std::min(shape.groups_per_lb, shape.groups))
    ids.insert(static_cast<GroupId>(1 + below(random, shape.groups)));
  return {ids.begin(), ids.end()};
}

Address address_in(Random& random, const AddressRange& range) {
  const Uint128 room = range.last.value() - range.first.value();
  const Uint128 draw = (static_cast<Uint128>(random()) << 64) | random();
  return Address::of(range.first.family,
                     range.first.value() + (room == ~Uint128{0} ? draw : draw % (room + 1)));
}

AddressRange strangers(Family family) {
  if (family == Family::ipv4) return {Address::ipv4(0x01000000), Address::ipv4(0xdfffffff)};
  return {Address::ipv6(0x20000000ull << 32, 0), Address::ipv6(0x3fffffffull << 32, ~0ull)};
}

// A packet that the rule allows.
PacketKey key_of(const Rule& rule, Random& random, Family family) {
  PacketKey key;
  switch (rule.protocol.kind) {
    case ProtocolKind::custom_udp:
      key.protocol = kProtocolUdp;
      break;
    case ProtocolKind::icmp:
      key.protocol = kProtocolIcmp;
      break;
    case ProtocolKind::icmpv6:
      key.protocol = kProtocolIcmpv6;
      break;
    case ProtocolKind::number:
      key.protocol = rule.protocol.number;
      key.service = rule.protocol.number;
      break;
    default:
      key.protocol = kProtocolTcp;
  }
  if (key.protocol == kProtocolTcp || key.protocol == kProtocolUdp) {
    const PortRange ports = rule.ports.ranges[below(random, rule.ports.ranges.size())];
    key.service =
        static_cast<std::uint16_t>(ports.first + below(random, ports.last - ports.first + 1u));
  } else if (rule.icmp_type) {
    key.service = static_cast<std::uint16_t>(*rule.icmp_type << 8);
  }
  key.remote = address_in(
      random, rule.network.type == NetworkType::manual ? rule.network.range : strangers(family));
  return key;
}

// A packet that looks like one the rule allows, but for its address or its port.
PacketKey near_miss(const Rule& rule, Random& random, Family family) {
  PacketKey key = key_of(rule, random, family);
  if (chance(random, 50)) {
    key.remote = address_in(random, strangers(family));
  } else {
    key.service = static_cast<std::uint16_t>(random());
    if (key.protocol != kProtocolTcp && key.protocol != kProtocolUdp) key.protocol = kProtocolTcp;
  }
  return key;
}

}  // namespace

Node workload_node(const WorkloadShape& shape, std::uint64_t seed) {
  Random random(seed);
  Node node;
  for (GroupId id = 1; id <= shape.groups; ++id)
    node.groups[id] = std::make_shared<const Group>(workload_group(shape, random, id));
  for (LbId id = 1; id <= shape.load_balancers; ++id) {
    LoadBalancer lb;
    lb.id = id;
    lb.name = "lb" + std::to_string(id);
    lb.addresses = {{Address::ipv4(0x0aff0000 + id), AddressKind::private_ip},
                    {Address::ipv6(0xfd00ull << 48, id), AddressKind::private_ip}};
    lb.groups = draw_groups(shape, random, id);
    node.load_balancers[id] = std::make_shared<const LoadBalancer>(std::move(lb));
  }
  return node;
}

Workload workload(const WorkloadShape& shape, std::uint64_t seed, std::size_t keys,
                  unsigned hit_percent) {
  Workload work;
  work.node = workload_node(shape, seed);
  Random random(seed + 1);
  for (std::size_t tries = 0; work.keys.size() < keys && tries < keys * 100; ++tries) {
    const auto id = static_cast<LbId>(1 + below(random, shape.load_balancers));
    const LoadBalancer& lb = *work.node.load_balancers.at(id);
    const Group& group = *work.node.groups.at(lb.groups[below(random, lb.groups.size())]);
    const Rule& rule = group.rules[below(random, shape.rules_per_group)];
    const bool hit = below(random, 100) < hit_percent;
    const PacketKey key =
        hit ? key_of(rule, random, shape.family) : near_miss(rule, random, shape.family);
    if (!hit && rule_of(lb, work.node, key)) continue;
    work.keys.push_back(key);
    work.expected.push_back(hit);
    work.lb_of_key.push_back(id);
  }
  return work;
}

}  // namespace sluice::oracle
