// SPDX-License-Identifier: Apache-2.0
//
// The table against its naive twin.
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>

#include "rules/builtin_groups.h"
#include "rules/compile.h"
#include "tests/oracle/oracle.h"
#include "tests/oracle/random_node.h"

namespace sluice::rules {
namespace {

using oracle::NodeShape;
using oracle::Random;

const std::vector<std::string> kZones{"edge"};

std::uint64_t seed_of_run() {
  const char* given = std::getenv("SLUICE_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

std::shared_ptr<const Table> compiled(const Node& node, std::uint64_t generation = 1) {
  auto table = Compiler().compile(node, kZones, generation);
  EXPECT_TRUE(table) << table.error().message;
  return *table;
}

// Packets through single and batch lookup and attribution; false at the first difference.
void compare(const Table& table, const Node& node, Random& random, std::size_t cases,
             std::uint64_t seed) {
  for (std::size_t done = 0; done < cases; done += kBatchMax) {
    std::array<PacketKey, kBatchMax> keys;
    std::array<std::optional<RuleRef>, kBatchMax> expected;
    for (std::size_t i = 0; i < kBatchMax; ++i) {
      const auto id = static_cast<LbId>(1 + random() % node.load_balancers.size());
      const LoadBalancer& lb = *node.load_balancers.at(id);
      keys[i] = oracle::random_packet(random, node);
      const LbMatch match = table.find_lb(0, lb.addresses[random() % 2].address);
      ASSERT_EQ(match.lb, id) << "seed " << seed;
      keys[i].policy = match.policy;
      expected[i] = oracle::rule_of(lb, node, keys[i]);
    }
    const std::uint64_t batch = table.allows_batch(keys);
    for (std::size_t i = 0; i < kBatchMax; ++i) {
      const PacketKey& key = keys[i];
      const auto what = [&] {
        return "seed " + std::to_string(seed) + ": " + to_string(key.remote) + " protocol " +
               std::to_string(key.protocol) + " service " + std::to_string(key.service);
      };
      ASSERT_EQ(table.allows(key), expected[i].has_value()) << what();
      ASSERT_EQ((batch >> i) & 1, expected[i].has_value()) << what();
      ASSERT_EQ(table.rule_of(key), expected[i]) << what();
    }
  }
}

// Small rule sets find wrong borders, large ones wrong sizes.
void compare_random_nodes(std::size_t total, const NodeShape& shape) {
  const std::uint64_t seed = seed_of_run();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  Random random(seed);
  constexpr std::size_t kPerNode = 4096;
  for (std::size_t done = 0; done < total && !testing::Test::HasFatalFailure(); done += kPerNode) {
    const Node node = oracle::random_node(random, shape);
    const auto table = compiled(node);
    ASSERT_NE(table, nullptr);
    compare(*table, node, random, kPerNode, seed);
  }
}

TEST(TableOracle, AgreesOnSmallRuleSets) {
  compare_random_nodes(600'000, {.groups = 3, .rules_per_group = 3, .load_balancers = 4});
}

TEST(TableOracle, AgreesOnMediumRuleSets) {
  compare_random_nodes(500'000, {.groups = 6, .rules_per_group = 20, .load_balancers = 8});
}

TEST(TableOracle, AgreesOnLargeRuleSets) {
  compare_random_nodes(50'000, {.groups = 4, .rules_per_group = 300, .load_balancers = 2});
}

TEST(TableLong, AgreesOnAsManyCasesAsAskedFor) {
  const char* cases = std::getenv("SLUICE_LONG_CASES");
  if (cases == nullptr) GTEST_SKIP() << "set SLUICE_LONG_CASES";
  compare_random_nodes(std::strtoull(cases, nullptr, 10),
                       {.groups = 5, .rules_per_group = 12, .load_balancers = 6});
}

// A compiler that lived through many changes must answer as one that never saw anything else.
TEST(Compiler, AnswersAfterChangesAsFromScratch) {
  const std::uint64_t seed = seed_of_run();
  Random random(seed);
  Compiler compiler;
  Node node = oracle::random_node(random, {});
  for (int change = 0; change < 60; ++change) {
    const Node other = oracle::random_node(random, {});
    const auto group = static_cast<GroupId>(1 + random() % node.groups.size());
    node.groups[group] = other.groups.at(group);
    if (change % 7 == 0) {
      Vpc vpc = *node.vpcs.at(1);
      vpc.prefixes[0].address = Address::ipv4(0x0a000000 + (random() % 4) * 16);
      node.vpcs[1] = std::make_shared<const Vpc>(vpc);
    }
    const auto table = compiler.compile(node, kZones, static_cast<std::uint64_t>(change) + 1);
    ASSERT_TRUE(table);
    compare(**table, node, random, 1024, seed);
    ASSERT_FALSE(HasFatalFailure());
  }
}

TEST(Compiler, SharesOnePolicyAmongLoadBalancersWithTheSameGroups) {
  Random random(1);
  Node node =
      oracle::random_node(random, {.groups = 2, .rules_per_group = 2, .load_balancers = 50});
  for (LbId id = 1; id <= 50; ++id) {
    LoadBalancer same = *node.load_balancers.at(id);
    same.groups = id % 2 == 0 ? std::vector<GroupId>{1, 2} : std::vector<GroupId>{2, 1};
    node.load_balancers[id] = std::make_shared<const LoadBalancer>(same);
  }
  EXPECT_EQ(compiled(node)->policies(), 1u);
}

TEST(Compiler, LeavesOutLoadBalancersOfZonesThatAreNotThere) {
  Random random(1);
  Node node = oracle::random_node(random, {.load_balancers = 1});
  LoadBalancer lb = *node.load_balancers.at(1);
  lb.zone = "elsewhere";
  node.load_balancers[1] = std::make_shared<const LoadBalancer>(lb);
  EXPECT_EQ(compiled(node)->find_lb(0, lb.addresses[0].address).lb, 0u);
}

TEST(Compiler, RefusesARuleOfAnUnknownVpcAndAnUnknownGroup) {
  Random random(1);
  Node node = oracle::random_node(random, {.load_balancers = 1});
  LoadBalancer lb = *node.load_balancers.at(1);
  lb.groups = {77};
  node.load_balancers[1] = std::make_shared<const LoadBalancer>(lb);
  EXPECT_FALSE(Compiler().compile(node, kZones, 1));
}

TEST(Compiler, RefusesWhatExceedsTheTableByName) {
  // Every rule its own port and its own network: a row each, and a bit of every row.
  Group group;
  group.id = 1;
  group.name = "giant";
  for (std::uint32_t i = 0; i < 60'000; ++i) {
    Rule rule;
    rule.id = i + 1;
    rule.protocol.kind = i % 2 == 0 ? ProtocolKind::custom_tcp : ProtocolKind::custom_udp;
    rule.ports.ranges = {{static_cast<std::uint16_t>(i), static_cast<std::uint16_t>(i)}};
    rule.network = {
        NetworkType::manual, {Address::ipv4(i * 1000), Address::ipv4(i * 1000 + 500)}, 0};
    group.rules.push_back(rule);
  }
  Node node;
  node.groups[1] = std::make_shared<const Group>(group);
  LoadBalancer lb;
  lb.id = 1;
  lb.groups = {1};
  node.load_balancers[1] = std::make_shared<const LoadBalancer>(lb);
  const auto table = Compiler().compile(node, kZones, 1);
  ASSERT_FALSE(table);
  EXPECT_EQ(table.error().code, ErrorCode::capacity);
  EXPECT_NE(table.error().message.find("giant"), std::string::npos);
}

TEST(BuiltinGroups, DefaultLetsHttpInAndEverythingOut) {
  Node node;
  for (const Group& group : builtin_groups())
    node.groups[group.id] = std::make_shared<const Group>(group);
  LoadBalancer lb;
  lb.id = 1;
  lb.addresses = {{Address::ipv4(1), AddressKind::private_ip}};
  lb.groups = {kDefaultGroupId};
  node.load_balancers[1] = std::make_shared<const LoadBalancer>(lb);
  const auto table = compiled(node);
  const auto allows = [&](Direction direction, std::uint8_t protocol, std::uint16_t service) {
    return table->allows({Address::ipv4(0x08080808), 0, service, protocol, direction});
  };
  EXPECT_TRUE(allows(Direction::inbound, 6, 80));
  EXPECT_TRUE(allows(Direction::inbound, 6, 443));
  EXPECT_TRUE(allows(Direction::inbound, 1, 8 << 8));
  EXPECT_FALSE(allows(Direction::inbound, 6, 8443));
  EXPECT_FALSE(allows(Direction::inbound, 17, 80));
  EXPECT_TRUE(allows(Direction::outbound, 17, 53));
  EXPECT_TRUE(allows(Direction::outbound, 47, 0));
}

}  // namespace
}  // namespace sluice::rules
