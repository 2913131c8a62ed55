// SPDX-License-Identifier: Apache-2.0
//
// The explanation against a twin that asks the oracle: a field fails if the rule, everything else
// about it relaxed, does not allow the packet.
#include "rules/explain.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "rules/validate.h"
#include "tests/oracle/workload.h"
#include "tests/table/table_bed.h"

namespace sluice::rules {
namespace {

Rule relaxed(const PacketKey& key) {
  Rule rule;
  rule.direction = key.direction;
  return rule;
}

std::vector<std::string> twin_misses(const Rule& rule, const Node& node, const PacketKey& key) {
  std::vector<std::string> missed;  // in the order that ties are broken by
  const auto note = [&](const char* name, const Rule& probe, bool cannot = false) {
    if (cannot || !oracle::allows(probe, node, key)) missed.emplace_back(name);
  };
  const bool icmp = key.protocol == 1 || key.protocol == 58;
  Rule types = relaxed(key);
  types.protocol.kind = key.protocol == 58 ? ProtocolKind::icmpv6 : ProtocolKind::icmp;
  if (rule.icmp_code) {
    Rule probe = types;
    probe.icmp_type = static_cast<std::uint8_t>(key.service / 256);
    probe.icmp_code = rule.icmp_code;
    note("icmp_code", probe, !icmp);
  }
  if (rule.icmp_type) {
    Rule probe = types;
    probe.icmp_type = rule.icmp_type;
    note("icmp_type", probe, !icmp);
  }
  if (!(rule.ports == PortSet{})) {
    Rule probe = relaxed(key);
    probe.ports = rule.ports;
    probe.protocol.kind = key.protocol == 6    ? ProtocolKind::custom_tcp
                          : key.protocol == 17 ? ProtocolKind::custom_udp
                                               : ProtocolKind::sctp;
    note("port_range", probe);
  }
  Rule network = relaxed(key);
  network.network = rule.network;
  note("network", network);
  Rule protocol = relaxed(key);
  protocol.protocol = rule.protocol;
  if (rule.icmp_type) protocol.icmp_type = static_cast<std::uint8_t>(key.service / 256);
  note("protocol_name", protocol);
  Rule direction;
  direction.direction = rule.direction;
  note("rule_type", direction);
  return missed;
}

struct TwinMiss {
  std::size_t count = 0;
  unsigned weight = 0;
  GroupId group = 0;
  std::size_t position = 0;
  std::vector<std::string> fields;
  auto order() const { return std::tuple(count, weight, group, position); }
};

std::vector<TwinMiss> twin(const LoadBalancer& lb, const Node& node, const PacketKey& key) {
  const std::vector<std::string> kOrder{"icmp_code", "icmp_type",     "port_range",
                                        "network",   "protocol_name", "rule_type"};
  std::vector<TwinMiss> all;
  for (const auto& [id, group] : node.groups) {
    if (std::count(lb.groups.begin(), lb.groups.end(), id) == 0) continue;
    for (std::size_t i = 0; i < group->rules.size(); ++i) {
      TwinMiss miss{0, 0, id, i, twin_misses(group->rules[i], node, key)};
      miss.count = miss.fields.size();
      for (const std::string& field : miss.fields)
        miss.weight += 1u << (std::find(kOrder.begin(), kOrder.end(), field) - kOrder.begin());
      all.push_back(miss);
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.order() < b.order(); });
  return all;
}

void compare_with_twin(const Node& node, oracle::Random& random, std::size_t cases,
                       std::uint64_t seed) {
  const auto table = tests::compiled(node);
  ASSERT_NE(table, nullptr);
  for (std::size_t i = 0; i < cases; ++i) {
    PacketKey key = oracle::random_packet(random, node);
    const LbId id = 1 + static_cast<LbId>(oracle::below(random, node.load_balancers.size()));
    const LoadBalancer& lb = *node.load_balancers.at(id);
    const LbMatch match = table->find_lb(0, lb.addresses[0].address);
    ASSERT_EQ(match.lb, id);
    key.policy = match.policy;
    const Explanation explanation = explain(table->policy(match.policy).groups, key);
    const std::vector<TwinMiss> expected = twin(lb, node, key);
    std::vector<RuleRef> allowing, twin_allowing;
    for (const FoundRule& found : explanation.allowing) allowing.push_back(found.ref());
    for (const TwinMiss& miss : expected)
      if (miss.count == 0)
        twin_allowing.push_back({miss.group, node.groups.at(miss.group)->rules[miss.position].id});
    ASSERT_EQ(allowing, twin_allowing) << "seed " << seed << ", case " << i;
    // The table names the first of those that allow it.
    ASSERT_EQ(table->rule_of(key).value_or(RuleRef{}),
              allowing.empty() ? RuleRef{} : allowing.front());
    ASSERT_EQ(explanation.nearest.has_value(), allowing.empty() && !expected.empty());
    if (!explanation.nearest) continue;
    const NearestMiss& nearest = *explanation.nearest;
    EXPECT_EQ(nearest.found.group().id, expected[0].group);
    EXPECT_EQ(nearest.found.position, expected[0].position);
    std::vector<std::string> fields;
    for (std::size_t f = 0; f < kMissFields; ++f)
      if (nearest.missed.has(static_cast<MissField>(f)))
        fields.emplace_back(to_string(static_cast<MissField>(f)));
    ASSERT_EQ(fields, expected[0].fields)
        << "seed " << seed << ", case " << i << ": " << sentence_of(explanation, key);
  }
}

TEST(Explain, AgreesWithItsTwinOnRandomNodes) {
  const std::uint64_t seed = tests::seed_of_run();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  oracle::Random random(seed);
  for (int i = 0; i < 200 && !testing::Test::HasFatalFailure(); ++i) {
    const Node node =
        oracle::random_node(random, {.groups = 4, .rules_per_group = 5, .load_balancers = 3});
    compare_with_twin(node, random, 300, seed);
  }
}

Rule tcp(RuleId id, std::uint16_t port, Network network = {}) {
  Rule rule;
  rule.id = id;
  rule.protocol.kind = ProtocolKind::custom_tcp;
  rule.ports.ranges = {{port, port}};
  rule.network = network;
  return rule;
}

Network manual(std::uint32_t first, std::uint32_t last) {
  return {NetworkType::manual, {Address::ipv4(first), Address::ipv4(last)}, 0};
}

Explanation explained(const Node& node, PacketKey key) {
  const auto table = tests::compiled(node);
  const Policy& policy = table->policy(
      table->find_lb(0, node.load_balancers.begin()->second->addresses[0].address).policy);
  return explain(policy.groups, key);
}

PacketKey tcp_to(std::uint16_t port, std::uint32_t remote) {
  return {Address::ipv4(remote), 0, port, kProtocolTcp, Direction::inbound};
}

TEST(Explain, SaysOfTheNearestRuleWhatItFails) {
  Rule outbound = tcp(4, 8080);
  outbound.direction = Direction::outbound;
  const Node node =
      tests::node_of({tcp(1, 443, manual(0x0a000000, 0x0affffff)),
                      tcp(2, 8080, manual(0xc0000205, 0xc000020e)), tcp(3, 80), outbound});
  const PacketKey key = tcp_to(8080, 0xc6336407);
  const Explanation explanation = explained(node, key);
  ASSERT_TRUE(explanation.nearest);
  // Rules 2 and 3 fail one field each, rule 4 one that is harder to mend; a port comes first.
  EXPECT_EQ(explanation.nearest->found.rule().id, 3u);
  const std::string group = explanation.nearest->found.group().name;
  EXPECT_EQ(sentence_of(explanation, key),
            "No rule allows Inbound TCP to port 8080 from 198.51.100.7. The nearest is rule 3 of "
            "group " +
                group + " (Inbound Custom_TCP 80 from any): port 8080 is not in 80.");
}

TEST(Explain, SaysWhichRulesAllow) {
  const Node node =
      tests::node_of({tcp(1, 80), tcp(2, 80, manual(0x0a000000, 0x0affffff)), tcp(3, 81)});
  const PacketKey key = tcp_to(80, 0x0a010203);
  const Explanation explanation = explained(node, key);
  ASSERT_EQ(explanation.allowing.size(), 2u);
  EXPECT_FALSE(explanation.nearest);
  const std::string group = explanation.allowing[0].group().name;
  EXPECT_EQ(sentence_of(explanation, key),
            "Inbound TCP to port 80 from 10.1.2.3 is allowed by "
            "rule 1 of group " +
                group + " (Inbound Custom_TCP 80 from any) and 1 other.");
}

TEST(Explain, NamesRangesExactlyAndIcmpByType) {
  Rule ping;
  ping.id = 9;
  ping.protocol.kind = ProtocolKind::icmp;
  ping.icmp_type = 8;
  ping.network = manual(0xc0000205, 0xc000020e);
  const Node node = tests::node_of({ping});
  const PacketKey key{Address::ipv4(0xc000020f), 0, 13 << 8, kProtocolIcmp, Direction::inbound};
  const Explanation explanation = explained(node, key);
  ASSERT_TRUE(explanation.nearest);
  EXPECT_EQ(describe_miss(*explanation.nearest, key),
            "192.0.2.15 is not in 192.0.2.5-192.0.2.14; ICMP type 13 is not 8");
  const PacketKey udp{Address::ipv4(0xc0000206), 0, 53, kProtocolUdp, Direction::inbound};
  EXPECT_EQ(describe_miss(*explained(node, udp).nearest, udp),
            "UDP is not ICMP; UDP has no ICMP type");
}

TEST(Explain, SaysThatNothingIsAttached) {
  const PacketKey key = tcp_to(80, 0x0a010203);
  const Explanation explanation = explain({}, key);
  EXPECT_TRUE(explanation.allowing.empty());
  EXPECT_FALSE(explanation.nearest);
  EXPECT_NE(sentence_of(explanation, key).find("no group with rules is attached"),
            std::string::npos);
}

}  // namespace
}  // namespace sluice::rules
