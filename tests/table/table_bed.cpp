// SPDX-License-Identifier: Apache-2.0
#include "tests/table/table_bed.h"

#include <array>

namespace sluice::tests {
namespace {

using namespace rules;

struct Batch {
  std::array<PacketKey, kBatchMax> keys;
  std::array<std::optional<RuleRef>, kBatchMax> expected;
  std::size_t size = 0;
};

std::string describe(const PacketKey& key, std::uint64_t seed) {
  return "seed " + std::to_string(seed) + ": " + to_string(key.remote) + " protocol " +
         std::to_string(key.protocol) + " service " + std::to_string(key.service) +
         (key.direction == Direction::inbound ? " inbound" : " outbound");
}

void check(const Table& table, const Batch& batch, std::string_view set, std::uint64_t seed) {
  const std::uint64_t allowed = table.allows_batch({batch.keys.data(), batch.size});
  for (std::size_t i = 0; i < batch.size; ++i) {
    ASSERT_EQ((allowed >> i) & 1, batch.expected[i].has_value())
        << describe(batch.keys[i], seed) << ", " << i << " of " << batch.size << ", " << set;
  }
  if (batch.size < kBatchMax) {
    ASSERT_EQ(allowed >> batch.size, 0u) << "seed " << seed << ", " << set;
  }
}

}  // namespace

std::vector<InstructionSet> instruction_sets() {
  std::vector<InstructionSet> sets;
  for (const InstructionSet set :
       {InstructionSet::scalar, InstructionSet::avx2, InstructionSet::avx512})
    if (lookup_batch(set) != nullptr) sets.push_back(set);
  return sets;
}

void compare(const Table& table, const Node& node, oracle::Random& random, std::size_t cases,
             std::uint64_t seed) {
  std::vector<std::pair<InstructionSet, std::shared_ptr<const Table>>> tables;
  for (const InstructionSet set : instruction_sets()) tables.emplace_back(set, table.with(set));
  std::vector<oracle::LbRules> rules(1);  // by LB id
  for (const auto& [id, lb] : node.load_balancers) rules.push_back(oracle::rules_of(*lb, node));
  for (std::size_t done = 0; done < cases;) {
    Batch batch;
    // Half of the batches fill vectors of 16; half are of one policy and direction, as most are
    // where traffic is heavy, and half of those of one family.
    batch.size = 1 + random() % kBatchMax;
    if (random() % 2 == 0) batch.size = (batch.size + 15) / 16 * 16;
    const bool one_policy = random() % 2 == 0, one_family = random() % 2 == 0;
    const auto first_lb = static_cast<LbId>(1 + random() % node.load_balancers.size());
    for (std::size_t i = 0; i < batch.size; ++i) {
      PacketKey& key = batch.keys[i];
      do key = oracle::random_packet(random, node);
      while (i > 0 && one_policy && one_family && key.remote.family != batch.keys[0].remote.family);
      if (one_policy && i > 0) key.direction = batch.keys[0].direction;
      const LbId id =
          one_policy ? first_lb : static_cast<LbId>(1 + random() % node.load_balancers.size());
      const LoadBalancer& lb = *node.load_balancers.at(id);
      const LbMatch match = table.find_lb(0, lb.addresses[random() % 2].address);
      ASSERT_EQ(match.lb, id) << "seed " << seed;
      key.policy = match.policy;
      batch.expected[i] = oracle::rule_of(rules[id], node, key);
      ASSERT_EQ(table.rule_of(key), batch.expected[i]) << describe(key, seed);
    }
    ASSERT_EQ(table.allows(batch.keys[0]), batch.expected[0].has_value())
        << describe(batch.keys[0], seed);
    for (const auto& [set, with] : tables) {
      check(*with, batch, to_string(set), seed);
      if (testing::Test::HasFatalFailure()) return;
    }
    done += batch.size;
  }
}

Node node_of(std::vector<Rule> rules) {
  Group group;
  group.id = 1;
  group.name = "giant";
  group.rules = std::move(rules);
  for (Rule& rule : group.rules) rule.id = static_cast<RuleId>(&rule - group.rules.data()) + 1;
  Node node;
  node.groups[1] = std::make_shared<const Group>(std::move(group));
  LoadBalancer lb;
  lb.id = 1;
  lb.addresses = {{Address::ipv4(1), AddressKind::private_ip},
                  {Address::ipv6(1, 1), AddressKind::private_ip}};
  lb.groups = {1};
  node.load_balancers[1] = std::make_shared<const LoadBalancer>(std::move(lb));
  return node;
}

}  // namespace sluice::tests
