// SPDX-License-Identifier: Apache-2.0
//
// Rules of any shape, compiled and asked at all their borders with every instruction set, against
// the oracle. Input: rules of [group and direction, protocol, two ports, family and network].
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "rules/compile.h"
#include "tests/oracle/oracle.h"

using namespace sluice;
using namespace sluice::rules;

namespace {

constexpr std::size_t kRuleBytes = 11;
constexpr std::size_t kGroups = 3;
constexpr std::size_t kRulesMax = 24;  // so that a run takes milliseconds

std::uint16_t two_bytes(const std::uint8_t* at) {
  return static_cast<std::uint16_t>(at[0] << 8 | at[1]);
}

// Addresses near one another, in the first, the last and a middle part of the family.
Address address_of(std::uint8_t where, std::uint16_t offset, Family family) {
  const Uint128 last = address_max(family);
  Uint128 start = 0;
  if (where % 4 == 1) start = last - 0xffff;
  if (where % 4 == 2) start = last / 2;
  // The end of a high half of IPv6.
  if (where % 4 == 3) start = (family == Family::ipv4 ? Uint128{1} << 20 : Uint128{1} << 70) - 9;
  const Uint128 number = start + offset;
  return Address::of(family, number > last || number < start ? last : number);
}

Rule rule_of(const std::uint8_t* bytes) {
  Rule rule;
  rule.direction = bytes[0] & 0x80 ? Direction::outbound : Direction::inbound;
  rule.protocol.kind = static_cast<ProtocolKind>(bytes[1] % 9);
  if (rule.protocol.kind == ProtocolKind::number) rule.protocol.number = bytes[1] / 9;
  if (rule.protocol.kind == ProtocolKind::custom_tcp ||
      rule.protocol.kind == ProtocolKind::custom_udp || rule.protocol.kind == ProtocolKind::sctp) {
    const std::uint16_t a = two_bytes(bytes + 2), b = two_bytes(bytes + 4);
    rule.ports.ranges = {{std::min(a, b), std::max(a, b)}};
  }
  if ((rule.protocol.kind == ProtocolKind::icmp || rule.protocol.kind == ProtocolKind::icmpv6) &&
      bytes[2] % 2 == 0) {
    rule.icmp_type = bytes[3];
    if (bytes[4] % 2 == 0) rule.icmp_code = bytes[5];
  }
  if (bytes[6] % 8 == 7) return rule;  // any
  const Family family = bytes[6] & 0x40 ? Family::ipv6 : Family::ipv4;
  const Address a = address_of(bytes[6], two_bytes(bytes + 7), family);
  const Address b = address_of(bytes[0] & 0x40 ? static_cast<std::uint8_t>(bytes[6] + 1) : bytes[6],
                               two_bytes(bytes + 9), family);
  rule.network = {NetworkType::manual, {std::min(a, b), std::max(a, b)}, 0};
  return rule;
}

Node node_of(const std::uint8_t* bytes, std::size_t size) {
  std::array<Group, kGroups> groups;
  RuleId next = 1;
  for (std::size_t at = 0; at + kRuleBytes <= size && next <= kRulesMax; at += kRuleBytes) {
    Rule rule = rule_of(bytes + at);
    rule.id = next++;
    groups[bytes[at] % kGroups].rules.push_back(rule);
  }
  Node node;
  for (GroupId id = 1; id <= kGroups; ++id) {
    groups[id - 1].id = id;
    groups[id - 1].name = "g" + std::to_string(id);
    node.groups[id] = std::make_shared<const Group>(groups[id - 1]);
  }
  // Every set of groups, the empty one among them.
  for (LbId id = 1; id <= 1u << kGroups; ++id) {
    LoadBalancer lb;
    lb.id = id;
    lb.addresses = {{Address::ipv4(id), AddressKind::private_ip}};
    for (GroupId group = 1; group <= kGroups; ++group)
      if ((id - 1) >> (group - 1) & 1) lb.groups.push_back(group);
    node.load_balancers[id] = std::make_shared<const LoadBalancer>(lb);
  }
  return node;
}

std::uint8_t protocol_of(const Rule& rule) {
  switch (rule.protocol.kind) {
    case ProtocolKind::all_udp:
    case ProtocolKind::custom_udp:
      return kProtocolUdp;
    case ProtocolKind::icmp:
      return kProtocolIcmp;
    case ProtocolKind::icmpv6:
      return kProtocolIcmpv6;
    case ProtocolKind::sctp:
      return kProtocolSctp;
    case ProtocolKind::number:
      return rule.protocol.number;
    default:
      return kProtocolTcp;
  }
}
// Another one that the rule may speak of.
std::uint8_t other_protocol_of(const Rule& rule) {
  if (rule.protocol.kind == ProtocolKind::icmp) return kProtocolIcmpv6;
  if (rule.protocol.kind == ProtocolKind::all) return static_cast<std::uint8_t>(rule.id * 37);
  return kProtocolUdp;
}

// At, before and behind both ends of what the rule says.
std::vector<PacketKey> keys_of(const Rule& rule) {
  std::vector<std::uint16_t> services;
  for (const std::uint16_t edge :
       {rule.ports.ranges[0].first, rule.ports.ranges[0].last,
        static_cast<std::uint16_t>(rule.icmp_type.value_or(0) << 8 | rule.icmp_code.value_or(0))}) {
    for (int step : {-1, 0, 1}) services.push_back(static_cast<std::uint16_t>(edge + step));
  }
  std::vector<Address> remotes{Address::ipv4(0), Address::ipv6(~0ull, ~0ull)};
  if (rule.network.type == NetworkType::manual) {
    for (const Address& edge : {rule.network.range.first, rule.network.range.last}) {
      for (int step : {-1, 0, 1}) {
        remotes.push_back(Address::of(
            edge.family, (edge.value() + static_cast<Uint128>(step)) & address_max(edge.family)));
      }
    }
  }
  std::vector<PacketKey> keys;
  for (const std::uint8_t protocol : {protocol_of(rule), other_protocol_of(rule)}) {
    for (const std::uint16_t service : services) {
      for (const Address& remote : remotes) {
        keys.push_back(
            {remote, 0, service_point(protocol, service).number, protocol, rule.direction});
      }
    }
  }
  return keys;
}

[[noreturn]] void differs(const PacketKey& key, LbId lb, std::string_view what) {
  std::fprintf(stderr, "lb %u: %s, protocol %u service %u: %.*s\n", lb,
               to_string(key.remote).c_str(), key.protocol, key.service,
               static_cast<int>(what.size()), what.data());
  std::abort();
}

// Keys of one LB, or of all in turn.
void check(const Table& table, const std::vector<PacketKey>& keys) {
  for (const InstructionSet set :
       {InstructionSet::scalar, InstructionSet::avx2, InstructionSet::avx512}) {
    if (lookup_batch(set) == nullptr) continue;
    const auto with = table.with(set);
    for (std::size_t first = 0; first < keys.size(); first += kBatchMax) {
      const std::size_t size = std::min(kBatchMax, keys.size() - first);
      const std::uint64_t allowed = with->allows_batch({keys.data() + first, size});
      for (std::size_t i = 0; i < size; ++i)
        if (((allowed >> i) & 1) != table.rule_of(keys[first + i]).has_value())
          differs(keys[first + i], keys[first + i].policy, to_string(set));
    }
  }
}

void check_all(const Table& table, const Node& node, std::vector<PacketKey>& keys) {
  std::vector<PacketKey> mixed = keys;
  for (LbId id = 1; id <= 1u << kGroups; ++id) {
    const LoadBalancer& lb = *node.load_balancers.at(id);
    const oracle::LbRules rules = oracle::rules_of(lb, node);
    const PolicyIndex policy = table.find_lb(0, lb.addresses[0].address).policy;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      keys[i].policy = policy;
      if (i % (1u << kGroups) == id - 1) mixed[i].policy = policy;
      if (table.rule_of(keys[i]) != oracle::rule_of(rules, node, keys[i]))
        differs(keys[i], id, "attribution");
    }
    check(table, keys);
  }
  check(table, mixed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const Node node = node_of(bytes, size);
  const std::vector<std::string> zones{""};
  const auto table = Compiler().compile(node, zones, 1);
  if (!table) std::abort();  // so few rules exceed no limit
  std::vector<PacketKey> keys;
  for (const auto& [id, group] : node.groups) {
    for (const Rule& rule : group->rules) {
      const auto more = keys_of(rule);
      // A few of each, another few with each input: the borders of all rules matter, not all pairs.
      for (std::size_t i = rule.id % 3; i < more.size(); i += 1 + size % 5) keys.push_back(more[i]);
    }
  }
  check_all(**table, node, keys);
  return 0;
}
