// SPDX-License-Identifier: Apache-2.0
//
// The table against its naive twin on random rule sets and packets. More than ten million cases in
// a run of all tests: the bulk in the build that is optimised, some under sanitizers.
#include "tests/oracle/workload.h"
#include "tests/table/table_bed.h"

namespace sluice::rules {
namespace {

using oracle::NodeShape;
using oracle::Random;
using oracle::RuleStyle;
using tests::compare;
using tests::compiled;

#ifdef NDEBUG
constexpr std::size_t kScale = 10;
#else
constexpr std::size_t kScale = 1;
#endif

// Small rule sets find wrong borders, large ones wrong sizes.
void compare_random_nodes(std::size_t total, const NodeShape& shape, bool shows_progress = false) {
  const std::uint64_t seed = tests::seed_of_run();
  std::printf("seed %llu, %zu cases\n", static_cast<unsigned long long>(seed), total);
  Random random(seed);
  constexpr std::size_t kPerNode = 4096, kPerLine = std::size_t{100} << 20;
  for (std::size_t done = 0; done < total && !testing::Test::HasFatalFailure(); done += kPerNode) {
    const Node node = oracle::random_node(random, shape);
    const auto table = compiled(node);
    ASSERT_NE(table, nullptr);
    compare(*table, node, random, kPerNode, seed);
    if (shows_progress && done / kPerLine != (done + kPerNode) / kPerLine) {
      std::printf("%zu million cases agree\n", (done + kPerNode) / 1'000'000);
      std::fflush(stdout);
    }
  }
}

TEST(TableOracle, AgreesOnSmallRuleSets) {
  compare_random_nodes(600'000 * kScale, {.groups = 3, .rules_per_group = 3, .load_balancers = 4});
}

TEST(TableOracle, AgreesOnMediumRuleSets) {
  compare_random_nodes(400'000 * kScale, {.groups = 6, .rules_per_group = 20, .load_balancers = 8});
}

TEST(TableOracle, AgreesOnLargeRuleSets) {
  compare_random_nodes(50'000 * kScale, {.groups = 4, .rules_per_group = 300, .load_balancers = 2});
}

TEST(TableOracle, AgreesBesideSystemRules) {
  compare_random_nodes(300'000 * kScale,
                       {.groups = 4, .rules_per_group = 8, .load_balancers = 4, .system_rules = 6});
}

TEST(TableLong, AgreesOnAsManyCasesAsAskedFor) {
  const char* cases = std::getenv("SLUICE_LONG_CASES");
  if (cases == nullptr) GTEST_SKIP() << "set SLUICE_LONG_CASES";
  compare_random_nodes(std::strtoull(cases, nullptr, 10),
                       {.groups = 5, .rules_per_group = 12, .load_balancers = 6, .system_rules = 3},
                       true);
}

// The workloads of the benchmarks, in sizes that take several levels of the rows.
void compare_workload(const oracle::WorkloadShape& shape) {
  const std::uint64_t seed = tests::seed_of_run();
  const Node node = oracle::workload_node(shape, seed);
  const auto table = compiled(node);
  ASSERT_NE(table, nullptr);
  Random random(seed);
  compare(*table, node, random, 2000 * kScale, seed);
}

TEST(TableWorkload, AgreesOnSecurityGroups) {
  compare_workload({.load_balancers = 5, .groups = 5, .rules_per_group = 700});
}

TEST(TableWorkload, AgreesOnIpv6SecurityGroups) {
  compare_workload(
      {.family = Family::ipv6, .load_balancers = 3, .groups = 3, .rules_per_group = 700});
}

TEST(TableWorkload, AgreesOnArbitraryPorts) {
  compare_workload({.style = RuleStyle::arbitrary_ports, .rules_per_group = 5000});
}

TEST(TableWorkload, AgreesOnNestedNetworks) {
  compare_workload({.style = RuleStyle::nested, .rules_per_group = 2000});
  compare_workload({.family = Family::ipv6, .style = RuleStyle::nested, .rules_per_group = 2000});
}

// Every count of borders up to several levels, the rows of both families.
TEST(TableRows, AgreesForEveryNumberOfNetworks) {
  const std::uint64_t seed = tests::seed_of_run();
  Random random(seed);
  for (std::size_t count = 0; count < 600; count += count < 40 ? 1 : 37) {
    std::vector<Rule> rules(2 * count + 2);
    for (std::size_t i = 0; i < rules.size(); ++i) {
      rules[i].protocol.kind = ProtocolKind::custom_tcp;
      rules[i].ports.ranges = {{static_cast<std::uint16_t>(i % 3), 65535}};
      const auto at = static_cast<std::uint32_t>(i / 2 * 10 + 5);
      rules[i].network = {NetworkType::manual,
                          i % 2 == 0 ? AddressRange{Address::ipv4(at), Address::ipv4(at + 4)}
                                     : AddressRange{Address::ipv6(at, 3), Address::ipv6(at + 4, 9)},
                          0};
    }
    const Node node = tests::node_of(rules);
    const auto table = compiled(node);
    ASSERT_NE(table, nullptr);
    compare(*table, node, random, 500, seed);
    ASSERT_FALSE(HasFatalFailure()) << count << " networks";
  }
}

// Eight crowds of networks far apart, which no slices tell apart: four levels of borders and more,
// beside an LB with one rule: batches of searches of very different depth.
TEST(TableRows, AgreesOnDeepOnesBesideShallowOnes) {
  const std::uint64_t seed = tests::seed_of_run();
  Random random(seed);
  std::vector<Rule> rules;
  const auto open = [&](const AddressRange& range, std::size_t i) {
    Rule rule;
    rule.protocol.kind = ProtocolKind::custom_tcp;
    rule.ports.ranges = {{80, static_cast<std::uint16_t>(80 + i % 2)}};
    rule.network = {NetworkType::manual, range, 0};
    rules.push_back(rule);
  };
  for (std::uint32_t i = 0; i < 34'000; ++i) {
    const std::uint32_t first = i % 8 * 0x1fff'ffff + i * 10;
    open({Address::ipv4(first), Address::ipv4(first + 5)}, i);
  }
  for (std::uint32_t i = 0; i < 17'000; ++i) {
    const std::uint64_t first = i % 8 * 0x1fff'ffff'ffff'ffffu + i * 10;
    open({Address::ipv6(first, 0), Address::ipv6(first + 5, ~0ull)}, i);
  }
  Node node = tests::node_of(rules);
  Group small = *node.groups.at(1);
  small.id = 2;
  small.rules.resize(1);
  node.groups[2] = std::make_shared<const Group>(small);
  LoadBalancer lb = *node.load_balancers.at(1);
  lb.id = 2;
  for (LbAddress& owned : lb.addresses) ++owned.address.low;
  lb.groups = {2};
  node.load_balancers[2] = std::make_shared<const LoadBalancer>(lb);
  const auto table = compiled(node);
  ASSERT_NE(table, nullptr);
  const auto levels = table->policy(table->find_lb(0, Address::ipv4(1)).policy).images[0]->levels();
  EXPECT_GE(levels.ipv4, 4);
  EXPECT_GE(levels.ipv6, 4);
  compare(*table, node, random, 300 * kScale, seed);
}

// Networks inside one another, each with `ports` ports of its own: sets of every form, in the
// interval's slot, in a line, in pages and as a bitmap.
TEST(TableSets, AgreeInEveryForm) {
  const std::uint64_t seed = tests::seed_of_run();
  Random random(seed);
  struct Form {
    std::uint32_t networks, ports;
  };
  // In IPv4, in the high halves of IPv6 and inside one of them.
  const auto network_of = [](std::size_t kind, std::uint32_t i) -> AddressRange {
    if (kind == 0) return {Address::ipv4(i), Address::ipv4(0xffffffff - i)};
    if (kind == 1) return {Address::ipv6(i, 0), Address::ipv6(0xffffffff - i, ~0ull)};
    return {Address::ipv6(7, i), Address::ipv6(7, 0xffffffff - i)};
  };
  for (const auto& [networks, ports] : {Form{1, 1}, Form{3, 1}, Form{12, 1}, Form{40, 1},
                                        Form{30, 20}, Form{30, 60}, Form{700, 1}}) {
    for (std::size_t kind = 0; kind < 3; ++kind) {
      std::vector<Rule> rules(networks);
      for (std::uint32_t i = 0; i < networks; ++i) {
        rules[i].protocol.kind = ProtocolKind::custom_tcp;
        rules[i].ports.ranges.clear();
        for (std::uint32_t port = 0; port < ports; ++port) {
          const auto number = static_cast<std::uint16_t>(65535 - (i * ports + port) * 2);
          rules[i].ports.ranges.insert(rules[i].ports.ranges.begin(), {number, number});
        }
        rules[i].network = {NetworkType::manual, network_of(kind, i), 0};
      }
      const Node node = tests::node_of(rules);
      const auto table = compiled(node);
      ASSERT_NE(table, nullptr);
      compare(*table, node, random, 3000, seed);
      ASSERT_FALSE(HasFatalFailure())
          << networks << " networks of " << ports << " ports, kind " << kind;
    }
  }
}

}  // namespace
}  // namespace sluice::rules
