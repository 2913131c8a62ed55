// SPDX-License-Identifier: Apache-2.0
#include "tests/oracle/oracle.h"

#include <set>

#include "rules/system_rules.h"

namespace sluice::oracle {
namespace {

using rules::ProtocolKind;

bool port_is_in(const rules::PortSet& ports, std::uint16_t port) {
  for (const auto& range : ports.ranges)
    if (range.first <= port && port <= range.last) return true;
  return false;
}

bool type_fits(const rules::Rule& rule, std::uint16_t service) {
  if (rule.icmp_type && *rule.icmp_type != service / 256) return false;
  return !rule.icmp_code || *rule.icmp_code == service % 256;
}

bool protocol_fits(const rules::Rule& rule, const rules::PacketKey& packet) {
  switch (rule.protocol.kind) {
    case ProtocolKind::all:
      return true;
    case ProtocolKind::all_tcp:
      return packet.protocol == 6;
    case ProtocolKind::all_udp:
      return packet.protocol == 17;
    case ProtocolKind::custom_tcp:
      return packet.protocol == 6 && port_is_in(rule.ports, packet.service);
    case ProtocolKind::custom_udp:
      return packet.protocol == 17 && port_is_in(rule.ports, packet.service);
    case ProtocolKind::sctp:
      return packet.protocol == 132 && port_is_in(rule.ports, packet.service);
    case ProtocolKind::icmp:
      if (rule.icmp_type) return packet.protocol == 1 && type_fits(rule, packet.service);
      return packet.protocol == 1 || packet.protocol == 58;
    case ProtocolKind::icmpv6:
      return packet.protocol == 58 && type_fits(rule, packet.service);
    case ProtocolKind::number:
      return packet.protocol == rule.protocol.number;
  }
  return false;
}

bool is_in_prefix(const rules::Prefix& prefix, const rules::Address& address) {
  if (prefix.address.family != address.family) return false;
  const int bits = address.family == rules::Family::ipv4 ? 32 : 128;
  if (prefix.length == 0) return true;
  const int shift = bits - prefix.length;
  return (prefix.address.value() >> shift) == (address.value() >> shift);
}

bool network_fits(const rules::Network& network, const rules::Node& node,
                  const rules::Address& remote) {
  switch (network.type) {
    case rules::NetworkType::any:
      return true;
    case rules::NetworkType::manual:
      return network.range.first.family == remote.family &&
             network.range.first.value() <= remote.value() &&
             remote.value() <= network.range.last.value();
    case rules::NetworkType::my_network:
      for (const auto& prefix : node.vpcs.at(network.vpc)->prefixes)
        if (is_in_prefix(prefix, remote)) return true;
      return false;
  }
  return false;
}

// The system rules alone decide its service (rules/system_rules.h).
bool is_reserved(const rules::Node& node, const rules::PacketKey& packet) {
  if (node.system_rules == nullptr) return false;
  for (const auto& rule : node.system_rules->group.rules)
    if (node.system_rules->reserving.contains(rule.id) && rule.direction == packet.direction &&
        protocol_fits(rule, packet))
      return true;
  return false;
}

}  // namespace

bool allows(const rules::Rule& rule, const rules::Node& node, const rules::PacketKey& packet) {
  return rule.direction == packet.direction && protocol_fits(rule, packet) &&
         network_fits(rule.network, node, packet.remote);
}

LbRules rules_of(const rules::LoadBalancer& lb, const rules::Node& node) {
  LbRules all;
  if (node.system_rules != nullptr)
    for (const auto& rule : node.system_rules->group.rules)
      all.emplace_back(rules::kSystemGroupId, &rule);
  const std::set<rules::GroupId> groups(lb.groups.begin(), lb.groups.end());
  for (rules::GroupId id : groups)
    for (const auto& rule : node.groups.at(id)->rules) all.emplace_back(id, &rule);
  return all;
}

std::optional<rules::RuleRef> rule_of(const LbRules& lb, const rules::Node& node,
                                      const rules::PacketKey& packet) {
  const bool reserved = is_reserved(node, packet);
  for (const auto& [group, rule] : lb)
    if ((group == rules::kSystemGroupId || !reserved) && allows(*rule, node, packet))
      return rules::RuleRef{group, rule->id};
  return std::nullopt;
}

std::optional<rules::RuleRef> rule_of(const rules::LoadBalancer& lb, const rules::Node& node,
                                      const rules::PacketKey& packet) {
  return rule_of(rules_of(lb, node), node, packet);
}

}  // namespace sluice::oracle
