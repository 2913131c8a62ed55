// SPDX-License-Identifier: Apache-2.0
//
// A compiler that lived through many changes makes what one makes that never saw anything else.
#include <deque>

#include "tests/table/table_bed.h"

namespace sluice::rules {
namespace {

using oracle::below;
using oracle::Random;
using tests::compiled;
using tests::kZones;

constexpr std::size_t kGroups = 5;

// Equal in all that a lookup or an attribution reads, LB by LB.
void expect_identical(const Table& table, const Table& fresh, const Node& node) {
  ASSERT_EQ(table.load_balancers(), fresh.load_balancers());
  ASSERT_EQ(table.policies(), fresh.policies());
  ASSERT_EQ(table.image_bytes(), fresh.image_bytes());
  for (const auto& [id, lb] : node.load_balancers) {
    for (const LbAddress& owned : lb->addresses) {
      const LbMatch a = table.find_lb(0, owned.address), b = fresh.find_lb(0, owned.address);
      ASSERT_EQ(a.lb, b.lb);
      if (a.lb == 0) continue;
      const Policy &one = table.policy(a.policy), &other = fresh.policy(b.policy);
      for (std::size_t direction = 0; direction < 2; ++direction)
        ASSERT_TRUE(*one.images[direction] == *other.images[direction]) << lb->name;
      ASSERT_EQ(one.groups.size(), other.groups.size());
      for (std::size_t i = 0; i < one.groups.size(); ++i)
        ASSERT_EQ(one.groups[i]->group(), other.groups[i]->group()) << lb->name;
    }
  }
}

LoadBalancer random_lb(Random& random, LbId id, std::size_t groups) {
  LoadBalancer lb;
  lb.id = id;
  lb.name = "lb" + std::to_string(id);
  lb.addresses = {{Address::ipv4(0x0aff0000 + id), AddressKind::private_ip},
                  {Address::ipv6(0xfd00ull << 48, id), AddressKind::private_ip}};
  if (below(random, 10) == 0) lb.addresses.pop_back();
  if (below(random, 10) == 0) lb.zone = "elsewhere";
  for (GroupId group = 1; group <= groups; ++group)
    if (below(random, 3) == 0) lb.groups.push_back(group);
  return lb;
}

// One change of a node of `groups` groups: a group, the VPC, an LB that comes, goes or changes, the
// system rules.
void change(Node& node, Random& random, std::size_t groups) {
  const Node other =
      oracle::random_node(random, {.groups = groups, .rules_per_group = 6, .system_rules = 4});
  if (below(random, 12) == 0) {
    node.system_rules = node.system_rules == nullptr ? other.system_rules : nullptr;
    return;
  }
  const auto group = static_cast<GroupId>(1 + below(random, groups));
  const auto lb = static_cast<LbId>(1 + below(random, 12));
  switch (below(random, 7)) {
    case 0:
      node.groups[group] = other.groups.at(group);
      break;
    case 6:  // away, from all who have it, or back
      if (!node.groups.contains(group)) {
        node.groups[group] = other.groups.at(group);
        break;
      }
      node.groups.erase(group);
      for (LbId id = 1; id <= 12; ++id) {
        if (!node.load_balancers.contains(id)) continue;
        LoadBalancer without = *node.load_balancers.at(id);
        if (std::erase(without.groups, group) != 0)
          node.load_balancers[id] = std::make_shared<const LoadBalancer>(without);
      }
      break;
    case 1: {
      Vpc vpc = *node.vpcs.at(1);
      vpc.prefixes[0].address =
          Address::ipv4(0x0a000000 + static_cast<std::uint32_t>(below(random, 4)) * 16);
      node.vpcs[1] = std::make_shared<const Vpc>(vpc);
      break;
    }
    case 2:
      node.load_balancers.erase(lb);
      break;
    default: {
      LoadBalancer drawn = random_lb(random, lb, groups);
      std::erase_if(drawn.groups, [&](GroupId id) { return !node.groups.contains(id); });
      node.load_balancers[lb] = std::make_shared<const LoadBalancer>(drawn);
    }
  }
}

// One change inside a group: a rule more or less, another one under the same id, an LB that gets
// a group more or has one less.
void change_rules(Node& node, Random& random, std::size_t groups) {
  const auto id = static_cast<GroupId>(1 + below(random, groups));
  if (below(random, 3) == 0) {
    const auto lb = static_cast<LbId>(1 + below(random, 12));
    if (!node.load_balancers.contains(lb) || !node.groups.contains(id)) return;
    LoadBalancer changed = *node.load_balancers.at(lb);
    if (std::erase(changed.groups, id) == 0) changed.groups.push_back(id);
    node.load_balancers[lb] = std::make_shared<const LoadBalancer>(changed);
    return;
  }
  if (!node.groups.contains(id)) return;
  Group group = *node.groups.at(id);
  const Node other = oracle::random_node(random, {.groups = groups, .rules_per_group = 6});
  const std::vector<Rule>& drawn = other.groups.at(id)->rules;
  if (drawn.empty()) return;
  Rule rule = drawn[below(random, drawn.size())];
  if (group.rules.empty() || below(random, 3) == 0) {
    rule.id = static_cast<RuleId>(id * 100'000 + below(random, 50'000));
    group.rules.insert(
        group.rules.begin() + static_cast<std::ptrdiff_t>(below(random, group.rules.size() + 1)),
        rule);
  } else {
    const auto at =
        group.rules.begin() + static_cast<std::ptrdiff_t>(below(random, group.rules.size()));
    if (below(random, 2) == 0) {
      group.rules.erase(at);
    } else {
      rule.id = at->id;
      *at = rule;
    }
  }
  node.groups[id] = std::make_shared<const Group>(group);
}

TEST(Compiler, MakesAfterChangesWhatItMakesFromScratch) {
  const std::uint64_t seed = tests::seed_of_run();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  Random random(seed);
  Compiler compiler;
  Node node = oracle::random_node(random, {.groups = kGroups, .rules_per_group = 6});
  for (std::uint64_t step = 1; step <= 300; ++step) {
    for (std::uint64_t i = 0; i <= below(random, 3); ++i) change(node, random, kGroups);
    if (below(random, 5) == 0) {
      // A change that is refused leaves nothing behind, whatever came with it.
      Node refused = node;
      change(refused, random, kGroups);
      LoadBalancer lb = random_lb(random, 50, kGroups);
      lb.zone = "";
      lb.groups.push_back(77);
      refused.load_balancers[50] = std::make_shared<const LoadBalancer>(lb);
      ASSERT_FALSE(compiler.compile(refused, kZones, step));
    }
    const auto table = compiler.compile(node, kZones, step);
    ASSERT_TRUE(table) << table.error().message;
    ASSERT_EQ((*table)->generation(), step);
    expect_identical(**table, *compiled(node, step), node);
    ASSERT_FALSE(HasFatalFailure()) << "seed " << seed << ", step " << step;
  }
}

// The last tables of one compiler, one a change.
class History {
 public:
  const Table& next(const Node& node, Random& random) {
    ++step_;
    // A dry run compiles as well, under the number that the next change will have.
    if (below(random, 5) == 0) {
      Node tried = node;
      if (below(random, 2) == 0) {
        change(tried, random, kGroups);
      } else {
        change_rules(tried, random, kGroups);
      }
      EXPECT_TRUE(compiler_.compile(tried, kZones, step_));
    }
    tables_.push_back(*compiler_.compile(node, kZones, step_));
    if (tables_.size() > kTables) tables_.pop_front();
    return *tables_.back();
  }
  [[nodiscard]] const std::deque<std::shared_ptr<const Table>>& tables() const { return tables_; }

 private:
  static constexpr std::size_t kTables = 8;
  Compiler compiler_;
  std::uint64_t step_ = 0;
  std::deque<std::shared_ptr<const Table>> tables_;
};

// What flows rely on: from `since` on, everything that the table says of an LB's addresses is the
// same. And not told too often: what a change does not touch keeps its `since`.
TEST(Compiler, TellsSinceWhenAnAddressIsJudgedAsItIs) {
  const std::uint64_t seed = tests::seed_of_run();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  Random random(seed);
  History history;
  Node node = oracle::random_node(random, {.groups = kGroups, .rules_per_group = 6});
  int kept = 0, renewed = 0;
  for (std::uint64_t step = 1; step <= 300; ++step) {
    change(node, random, kGroups);
    const Table& now = history.next(node, random);
    for (LbId id = 1; id <= 12; ++id) {
      for (const Address& address :
           {Address::ipv4(0x0aff0000 + id), Address::ipv6(0xfd00ull << 48, id)}) {
        const LbMatch match = now.find_lb(0, address);
        for (const auto& table : history.tables()) {
          const Table& then = *table;
          const LbMatch old = then.find_lb(0, address);
          const bool is_promised = then.generation() >= match.since && match.lb != 0;
          if (!is_promised && then.generation() < now.changed()) continue;
          ASSERT_EQ(old.lb, match.lb) << "seed " << seed << ", step " << step;
          if (match.lb == 0) continue;
          const Policy &one = now.policy(match.policy), &other = then.policy(old.policy);
          ASSERT_EQ(one.images, other.images) << "seed " << seed << ", step " << step;
          ASSERT_EQ(one.groups, other.groups) << "seed " << seed << ", step " << step;
        }
        if (match.lb != 0) ++(match.since == step ? renewed : kept);
      }
    }
  }
  EXPECT_GT(kept, renewed);
  EXPECT_GT(renewed, 100);
}

// What flows rely on where a change only adds, or takes away another rule than theirs.
TEST(Compiler, TellsWhatWasTakenFromAnAddressAndFromWhichRule) {
  const std::uint64_t seed = tests::seed_of_run();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  Random random(seed);
  History history;
  Node node = oracle::random_node(random, {.groups = kGroups, .rules_per_group = 6});
  int added_only = 0, stood = 0, lost = 0;
  for (std::uint64_t step = 1; step <= 3000; ++step) {
    if (below(random, 2) == 0) {
      change_rules(node, random, kGroups);
    } else {
      change(node, random, kGroups);
    }
    const Table& now = history.next(node, random);
    for (int i = 0; i < 400; ++i) {
      const Table& then = *history.tables()[below(random, history.tables().size())];
      const auto lb = static_cast<LbId>(1 + below(random, 12));
      const Address address = below(random, 2) == 0 ? Address::ipv4(0x0aff0000 + lb)
                                                    : Address::ipv6(0xfd00ull << 48, lb);
      const LbMatch before = then.find_lb(0, address), after = now.find_lb(0, address);
      if (before.lb == 0) continue;
      PacketKey key = oracle::random_packet(random, node);
      key.policy = before.policy;
      const auto rule = then.rule_of(key);
      if (!rule) continue;
      key.policy = after.policy;
      const bool is_allowed = after.lb != 0 && now.allows(key);
      if (then.generation() >= now.narrowed()) {
        ASSERT_TRUE(is_allowed) << "seed " << seed << ", step " << step;
      }
      if (after.lb == 0) continue;
      const bool has_lost = then.generation() < after.narrowed;
      added_only += !has_lost && then.generation() < after.since;
      if (!has_lost) {
        ASSERT_TRUE(is_allowed) << "seed " << seed << ", step " << step;
      }
      const auto generation = static_cast<std::uint32_t>(then.generation());
      const LostRules* of_group = now.lost_rules(after.policy, rule->group);
      const bool stands = of_group != nullptr &&
                          !of_group->has(rule->rule, generation, static_cast<std::uint32_t>(step));
      if (stands) {
        ASSERT_TRUE(is_allowed) << "seed " << seed << ", step " << step;
      }
      if (has_lost) ++(stands ? stood : lost);
    }
  }
  EXPECT_GT(added_only, 300);
  EXPECT_GT(stood, 1000);
  EXPECT_GT(lost, 1000);
}

// Beyond what is remembered of earlier changes nothing is claimed.
TEST(LostRules, KnowsTheNewestChangeHoweverLarge) {
  const auto group_of = [](RuleId first, RuleId last) {
    auto group = std::make_shared<Group>();
    for (RuleId id = first; id <= last; ++id) {
      Rule rule;
      rule.id = id;
      group->rules.push_back(rule);
    }
    return ResolvedGroup{group, {}};
  };
  const LostRules at_5(5);
  EXPECT_TRUE(at_5.has(1, 4, 5));
  EXPECT_FALSE(at_5.has(1, 5, 5));
  const LostRules at_6(at_5, 6, group_of(1, 3000), group_of(2, 3000));
  EXPECT_TRUE(at_6.has(1, 5, 6));
  EXPECT_FALSE(at_6.has(2, 5, 6));
  const LostRules at_7(at_6, 7, group_of(2, 3000), group_of(2, 4000));
  EXPECT_EQ(at_7.newest(), 6u);
  EXPECT_FALSE(at_7.has(2, 5, 7));
  const LostRules at_8(at_7, 8, group_of(2, 4000), group_of(2, 1000));
  EXPECT_FALSE(at_8.has(2, 6, 8));
  EXPECT_FALSE(at_8.has(2, 7, 8));
  EXPECT_TRUE(at_8.has(2, 5, 8));  // perhaps
  EXPECT_TRUE(at_8.has(1001, 7, 8));
  EXPECT_FALSE(at_8.has(1001, 8, 8));
  // A table that was taken back.
  EXPECT_TRUE(at_8.has(2, 9, 8));
  // Nothing was lost before, and still nothing is known of that.
  const LostRules large_at_6(at_5, 6, group_of(1, 3000), group_of(2000, 3000));
  EXPECT_FALSE(large_at_6.has(2000, 5, 6));
  EXPECT_TRUE(large_at_6.has(2000, 4, 6));
}

TEST(Compiler, GoesBackToAnEarlierNodeAsWell) {
  Random random(1);
  Compiler compiler;
  const Node before = oracle::random_node(random, {});
  Node after = before;
  for (int i = 0; i < 5; ++i) change(after, random, 4);
  for (std::uint64_t step = 1; step < 6; ++step) {
    const Node& node = step % 2 == 0 ? after : before;
    const auto table = compiler.compile(node, kZones, step);
    ASSERT_TRUE(table);
    expect_identical(**table, *compiled(node, step), node);
  }
}

TEST(Compiler, TakesOverWhatAChangeDoesNotTouch) {
  Random random(3);
  Compiler compiler;
  Node node = oracle::random_node(random, {.groups = 6, .rules_per_group = 6});
  for (LbId id = 1; id <= 3; ++id) {
    LoadBalancer lb = random_lb(random, id, 0);
    lb.zone = "";
    lb.addresses.resize(1);
    lb.groups = {id};
    node.load_balancers[id] = std::make_shared<const LoadBalancer>(lb);
  }
  const auto before = *compiler.compile(node, kZones, 1);
  node.groups[2] = std::make_shared<const Group>(
      *oracle::random_node(random, {.groups = 6, .rules_per_group = 6}).groups.at(2));
  const auto after = *compiler.compile(node, kZones, 2);
  for (LbId id = 1; id <= 3; ++id) {
    const Address address = node.load_balancers.at(id)->addresses[0].address;
    const Policy& old_policy = before->policy(before->find_lb(0, address).policy);
    const Policy& new_policy = after->policy(after->find_lb(0, address).policy);
    EXPECT_EQ(&old_policy == &new_policy, id != 2) << id;
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
  const auto table = compiled(node);
  EXPECT_EQ(table->policies(), 1u);
  const auto reports = table->policy_reports();
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].load_balancers, 50u);
  EXPECT_EQ(reports[0].groups, (std::vector<GroupId>{1, 2}));
}

TEST(Compiler, SharesOneImageAmongPoliciesOfEqualRules) {
  Rule rule;
  rule.protocol.kind = ProtocolKind::all_tcp;
  Node node = tests::node_of({rule});
  Group twin = *node.groups.at(1);
  twin.id = 2;
  node.groups[2] = std::make_shared<const Group>(twin);
  LoadBalancer lb = *node.load_balancers.at(1);
  lb.id = 2;
  lb.addresses = {{Address::ipv4(2), AddressKind::private_ip}};
  lb.groups = {2};
  node.load_balancers[2] = std::make_shared<const LoadBalancer>(lb);
  const auto table = compiled(node);
  EXPECT_EQ(table->policies(), 2u);
  const auto image = [&](std::uint32_t address) {
    return table->policy(table->find_lb(0, Address::ipv4(address)).policy).images[0];
  };
  EXPECT_EQ(image(1), image(2));
}

TEST(Compiler, LeavesOutLoadBalancersOfZonesThatAreNotThere) {
  Random random(1);
  Node node = oracle::random_node(random, {.load_balancers = 1});
  LoadBalancer lb = *node.load_balancers.at(1);
  lb.zone = "elsewhere";
  node.load_balancers[1] = std::make_shared<const LoadBalancer>(lb);
  EXPECT_EQ(compiled(node)->find_lb(0, lb.addresses[0].address).lb, 0u);
}

TEST(Compiler, RefusesAGroupThatIsNotThereOrGoneAndAnUnknownVpc) {
  Random random(1);
  Compiler compiler;
  Node node = oracle::random_node(random, {.groups = 3, .load_balancers = 1});
  LoadBalancer lb = *node.load_balancers.at(1);
  lb.groups = {1, 2};
  node.load_balancers[1] = std::make_shared<const LoadBalancer>(lb);
  ASSERT_TRUE(compiler.compile(node, kZones, 1));

  Node without_group = node;
  without_group.groups.erase(2);
  const auto gone = compiler.compile(without_group, kZones, 2);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::invalid);

  Node without_vpc = node;
  Group group = *node.groups.at(1);
  group.rules[0].network = {NetworkType::my_network, {}, 9};
  without_vpc.groups[1] = std::make_shared<const Group>(group);
  const auto unknown = compiler.compile(without_vpc, kZones, 2);
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("VPC 9"), std::string::npos);
  EXPECT_TRUE(compiler.compile(node, kZones, 2));
}

TEST(Compiler, RefusesWhatExceedsAnImageByNameAndGoesOn) {
  // Networks inside one another, each with a port of its own: a bitmap an interval.
  std::vector<Rule> rules(18'000);
  for (std::uint32_t i = 0; i < rules.size(); ++i) {
    rules[i].protocol.kind = ProtocolKind::custom_tcp;
    const auto port = static_cast<std::uint16_t>(i * 2);
    rules[i].ports.ranges = {{port, port}};
    rules[i].network = {NetworkType::manual, {Address::ipv4(i), Address::ipv4(1'000'000 - i)}, 0};
  }
  Compiler compiler;
  const Node small = tests::node_of({rules.begin(), rules.begin() + 5});
  ASSERT_TRUE(compiler.compile(small, kZones, 1));
  const auto table = compiler.compile(tests::node_of(rules), kZones, 2);
  ASSERT_FALSE(table);
  EXPECT_EQ(table.error().code, ErrorCode::capacity);
  EXPECT_NE(table.error().message.find("giant"), std::string::npos) << table.error().message;
  EXPECT_NE(table.error().message.find("128 MiB"), std::string::npos) << table.error().message;
  const auto again = compiler.compile(small, kZones, 3);
  ASSERT_TRUE(again);
  expect_identical(**again, *compiled(small, 3), small);
}

}  // namespace
}  // namespace sluice::rules
