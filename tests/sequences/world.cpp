// SPDX-License-Identifier: Apache-2.0
#include "tests/sequences/world.h"

#include <vector>

namespace sluice::sequences {
namespace {

using namespace rules;

Rule rule_of(ProtocolKind kind, std::optional<std::uint16_t> port = {}) {
  Rule rule;
  rule.protocol.kind = kind;
  if (port) rule.ports.ranges = {{*port, *port}};
  return rule;
}

// Each rule once in either direction.
std::vector<Rule> make_catalogue() {
  std::vector<Rule> half{rule_of(ProtocolKind::custom_tcp, 80),
                         rule_of(ProtocolKind::custom_tcp, 443),
                         rule_of(ProtocolKind::custom_tcp, 40000),
                         rule_of(ProtocolKind::all_tcp),
                         rule_of(ProtocolKind::custom_udp, 53),
                         rule_of(ProtocolKind::custom_udp, 40000),
                         rule_of(ProtocolKind::all_udp),
                         rule_of(ProtocolKind::icmp),
                         rule_of(ProtocolKind::icmp),
                         rule_of(ProtocolKind::icmpv6),
                         rule_of(ProtocolKind::sctp, 80),
                         rule_of(ProtocolKind::number),
                         rule_of(ProtocolKind::custom_tcp, 80),
                         rule_of(ProtocolKind::custom_udp, 53),
                         rule_of(ProtocolKind::all),
                         rule_of(ProtocolKind::all)};
  half[8].icmp_type = 8;
  half[9].icmp_type = 128;
  half[11].protocol.number = 47;
  // From one host alone.
  for (std::size_t i : {3u, 6u, 14u})
    half[i].network = {
        NetworkType::manual, {cast_of(Family::ipv4).hosts[0], cast_of(Family::ipv4).hosts[0]}, 0};
  for (std::size_t i : {12u, 13u, 15u})
    half[i].network = {
        NetworkType::manual, {cast_of(Family::ipv6).hosts[0], cast_of(Family::ipv6).hosts[0]}, 0};
  std::vector<Rule> all;
  for (const Direction direction : {Direction::inbound, Direction::outbound}) {
    for (Rule rule : half) {
      rule.direction = direction;
      all.push_back(rule);
    }
  }
  return all;
}

LoadBalancer load_balancer(LbId id, const std::string& name, const std::string& zone,
                           std::size_t address, std::vector<GroupId> groups) {
  LoadBalancer lb;
  lb.id = id;
  lb.name = name;
  lb.zone = zone;
  for (const Family family : {Family::ipv4, Family::ipv6})
    lb.addresses.push_back({cast_of(family).load_balancers[address], AddressKind::private_ip});
  lb.groups = std::move(groups);
  return lb;
}

}  // namespace

const Cast& cast_of(Family family) {
  static const auto v6 = [](std::uint64_t high, std::uint64_t low) {
    return Address::ipv6(high << 48, low);
  };
  static const Cast kIpv4{
      {Address::ipv4(0x0a00000a), Address::ipv4(0x0a000014)},
      {Address::ipv4(0x0a010001), Address::ipv4(0x0a010002), Address::ipv4(0x0a010003)},
      Address::ipv4(0x0a000063)};
  static const Cast kIpv6{{v6(0xfd00, 0x10), v6(0xfd00, 0x20)},
                          {v6(0x2001, 1), v6(0x2001, 2), v6(0x2001, 3)},
                          v6(0xfd00, 0x99)};
  return family == Family::ipv4 ? kIpv4 : kIpv6;
}

std::shared_ptr<const Node> node_of(const Change& change) {
  static const std::vector<Rule> kRules = make_catalogue();
  auto node = std::make_shared<Node>();
  for (GroupId id = 1; id <= 2; ++id) {
    Group group;
    group.id = id;
    group.name = "g" + std::to_string(id);
    for (std::size_t i = 0; i < kCatalogue; ++i) {
      if ((change.rules[id - 1] >> i & 1) == 0) continue;
      group.rules.push_back(kRules[i]);
      group.rules.back().id = static_cast<RuleId>(id * 100 + (i + change.renumbered) % kCatalogue);
    }
    node->groups[id] = std::make_shared<const Group>(std::move(group));
  }
  const auto groups = [&](LbId id) {
    std::vector<GroupId> attached;
    for (GroupId group = 1; group <= 2; ++group)
      if (change.attached[id - 1] >> (group - 1) & 1) attached.push_back(group);
    return attached;
  };
  node->load_balancers[1] =
      std::make_shared<const LoadBalancer>(load_balancer(1, "web", "a", 0, groups(1)));
  node->load_balancers[2] =
      std::make_shared<const LoadBalancer>(load_balancer(2, "api", "a", 1, groups(2)));
  node->load_balancers[3] =
      std::make_shared<const LoadBalancer>(load_balancer(3, "other", "b", 0, groups(3)));
  return node;
}

}  // namespace sluice::sequences
