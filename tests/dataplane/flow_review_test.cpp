// SPDX-License-Identifier: Apache-2.0
//
// Live flows under a new table, where packets and the sweep come by in any order.
#include "dataplane/flow_review.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

#include "dataplane/pipeline.h"
#include "rules/compile.h"
#include "rules/node_json.h"
#include "tests/dataplane/flow_table_bed.h"
#include "tests/dataplane/fragment_tracker_bed.h"
#include "tests/packet_builder.h"

namespace sluice::dataplane {
namespace {

using tests::kSecond;

// UDP ports that are allowed from any.
std::shared_ptr<const Snapshot> snapshot_of(std::uint64_t generation, const std::string& ports,
                                            FlowsOnChange flows = {}) {
  const auto document = rules::node_from_json(*rules::parse_json(
      R"({"security_groups":[{"name":"g","rules":[
      {"rule_type":"Inbound","protocol_name":"UDP","network":"any","port_range":")" +
      ports + R"("},
      {"rule_type":"Outbound","protocol_name":"TCP","port_range":"1","network":"any"}]}],
      "load_balancers":[{"name":"a","addresses":["10.0.0.10","fd00::10"],
      "security_groups":["g"]}]})"));
  const std::vector<std::string> zones{""};
  return std::make_shared<const Snapshot>(
      Snapshot{*rules::Compiler().compile(document->node, zones, generation), {}, flows});
}

struct Bed {
  tests::FlowTableBed flows{1u << 15};
  tests::FragmentTrackerBed fragments{64};
  Pipeline pipeline{flows.table, fragments.tracker};
  std::array<std::uint16_t, kVlans> zones{};
  TimeNs now = kSecond;

  Verdict judge(const Snapshot& snapshot, std::uint32_t client, std::uint16_t port) {
    const bool ipv6 = client % 2 == 0;
    const std::string address = ipv6 ? "2001:db8::" + std::to_string(client / 2 % 5000)
                                     : to_string(rules::Address::ipv4(0x0b000000 + client));
    const auto bytes = tests::PacketBuilder(address, ipv6 ? "fd00::10" : "10.0.0.10")
                           .udp(static_cast<std::uint16_t>(client + 1), port)
                           .frame();
    const Frame frame{bytes.data(), static_cast<std::uint32_t>(bytes.size())};
    Verdict verdict;
    pipeline.judge(&snapshot, {Side::outside, zones.data()}, {&frame, 1}, now, {&verdict, 1});
    return verdict;
  }
  void idle(const Snapshot& snapshot) { pipeline.judge(&snapshot, {}, {}, now, {}); }
};

constexpr std::uint32_t kClients = 6000;

TEST(FlowReview, CountsEachFlowOnceWhetherItsPacketOrTheSweepComesFirst) {
  const auto seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  for (const FlowFate fate : {FlowFate::cut, FlowFate::keep, FlowFate::drain}) {
    Bed bed;
    const auto both = snapshot_of(1, "53,54"), one = snapshot_of(2, "53", {fate, 100});
    for (std::uint32_t i = 0; i < kClients; ++i)
      ASSERT_TRUE(bed.judge(*both, i, i % 3 == 0 ? 54 : 53).passes());
    std::uint32_t packets = 0;
    while (!bed.pipeline.is_reviewed(*one)) {
      const std::uint32_t client = random() % kClients;
      const bool refused = client % 3 == 0;
      const Verdict verdict = bed.judge(*one, client, refused ? 54 : 53);
      ++packets;
      if (refused && fate == FlowFate::cut) {
        // Revoked once, and unknown from then on.
        ASSERT_TRUE(verdict.reason == DropReason::revoked || verdict.reason == DropReason::no_rule);
      } else {
        ASSERT_TRUE(verdict.passes()) << "seed " << seed;
      }
    }
    EXPECT_GT(packets, 50u);
    const FateCounts& fates = bed.pipeline.fates();
    const std::uint64_t concerned = kClients / 3;
    EXPECT_EQ(fates.cut, fate == FlowFate::cut ? concerned : 0) << "seed " << seed;
    EXPECT_EQ(fates.kept, fate == FlowFate::keep ? concerned : 0) << "seed " << seed;
    EXPECT_EQ(fates.draining, fate == FlowFate::drain ? concerned : 0) << "seed " << seed;
  }
}

TEST(FlowReview, EndsByItselfWhereNoPacketComes) {
  Bed bed;
  const auto both = snapshot_of(1, "53,54"), one = snapshot_of(2, "53");
  for (std::uint32_t i = 0; i < kClients; ++i) ASSERT_TRUE(bed.judge(*both, i, 54).passes());
  int rounds = 0;
  for (; !bed.pipeline.is_reviewed(*one); ++rounds) bed.idle(*one);
  EXPECT_LT(rounds, 20);
  EXPECT_EQ(bed.pipeline.fates().cut, kClients);
}

// Two LBs of a node that changes under one compiler, each with a group of its own.
class ChangingNode {
 public:
  using Ports = std::vector<rules::PortRange>;

  ChangingNode() {
    for (rules::GroupId id : {1u, 2u}) {
      rules::LoadBalancer lb;
      lb.id = id;
      lb.addresses = {{rules::Address::ipv4(0x0a000009 + id)},
                      {rules::Address::ipv6(0xfd00ull << 48, 0xf + id)}};
      lb.groups = {id};
      node_.load_balancers[id] = std::make_shared<const rules::LoadBalancer>(lb);
      rules::Rule outbound;
      outbound.id = next_rule_++;
      outbound.direction = rules::Direction::outbound;
      groups_[id - 1].id = id;
      groups_[id - 1].rules = {outbound};
      (void)add_rule(static_cast<int>(id - 1), {{53, 54}});
    }
  }
  // Before all others of an LB's group, for UDP from any.
  rules::RuleRef add_rule(int lb, Ports ports) {
    rules::Rule rule;
    rule.id = next_rule_++;
    rule.protocol.kind = rules::ProtocolKind::custom_udp;
    rule.ports.ranges = std::move(ports);
    groups_[lb].rules.insert(groups_[lb].rules.begin(), rule);
    return {groups_[lb].id, rule.id};
  }
  // Of the first rule, which stays the same one.
  void set_ports(int lb, Ports ports) { groups_[lb].rules[0].ports.ranges = std::move(ports); }
  void remove_rule(int lb, const rules::RuleRef& ref) {
    std::erase_if(groups_[lb].rules, [&](const auto& rule) { return rule.id == ref.rule; });
  }
  std::shared_ptr<const Snapshot> at(std::uint64_t generation, FlowsOnChange flows = {}) {
    // What did not change is the same value, as the service has it.
    for (const rules::Group& group : groups_) {
      auto& held = node_.groups[group.id];
      if (held == nullptr || *held != group) held = std::make_shared<const rules::Group>(group);
    }
    const std::vector<std::string> zones{""};
    return std::make_shared<const Snapshot>(
        Snapshot{*compiler_.compile(node_, zones, generation), {}, flows});
  }

 private:
  rules::Compiler compiler_;
  rules::Node node_;
  std::array<rules::Group, 2> groups_;
  rules::RuleId next_rule_ = 1;
};

TEST(FlowReview, LeavesAloneWhatAChangeDoesNotTouch) {
  ChangingNode node;
  Bed bed;
  const auto first = node.at(1);
  for (std::uint32_t i = 0; i < 100; ++i) ASSERT_TRUE(bed.judge(*first, i, 54).passes());
  node.set_ports(1, {{53, 53}});
  const auto of_another = node.at(2);
  EXPECT_TRUE(bed.judge(*of_another, 0, 54).passes());
  while (!bed.pipeline.is_reviewed(*of_another)) bed.idle(*of_another);
  EXPECT_EQ(bed.pipeline.fates().cut, 0u);
  const auto nothing = node.at(3);
  bed.judge(*nothing, 0, 54);
  EXPECT_TRUE(bed.pipeline.is_reviewed(*nothing));  // at once
  node.set_ports(0, {{53, 53}});
  const auto of_its_own = node.at(4);
  EXPECT_EQ(bed.judge(*of_its_own, 0, 54).reason, DropReason::revoked);
  while (!bed.pipeline.is_reviewed(*of_its_own)) bed.idle(*of_its_own);
  EXPECT_EQ(bed.pipeline.fates().cut, 100u);
}

// A change that could not be brought into force everywhere is taken back: what it alone allowed
// ends, also where the next change does not touch that LB.
TEST(FlowReview, JudgesAgainWhatANewerTableOpenedWhereAnOlderOneComesBack) {
  for (const bool sweeps : {false, true}) {
    ChangingNode node;
    Bed bed;
    node.set_ports(0, {{53, 53}});
    const auto before = node.at(1);
    ASSERT_TRUE(bed.judge(*before, 0, 53).passes());
    node.set_ports(0, {{53, 54}});
    const auto failed = node.at(2);
    ASSERT_TRUE(bed.judge(*failed, 1, 54).passes());
    ASSERT_TRUE(bed.judge(*failed, 3, 54).passes());
    EXPECT_EQ(bed.judge(*before, 1, 54).reason, DropReason::revoked);
    if (sweeps) {
      while (!bed.pipeline.is_reviewed(*before)) bed.idle(*before);
      EXPECT_EQ(bed.pipeline.fates().cut, 2u);
    }
    node.set_ports(0, {{53, 53}});
    node.set_ports(1, {{54, 54}});
    const auto next = node.at(3);
    EXPECT_EQ(bed.judge(*next, 3, 54).reason, DropReason::revoked);
    EXPECT_TRUE(bed.judge(*next, 0, 53).passes());
  }
}

TEST(FlowReview, HasNothingToDoWhereAChangeOnlyAdds) {
  ChangingNode node;
  Bed bed;
  const auto before = node.at(1);
  for (std::uint32_t i = 0; i < 100; ++i) ASSERT_TRUE(bed.judge(*before, i, 54).passes());
  (void)node.add_rule(0, {{1, 1000}});
  const auto after = node.at(2);
  bed.idle(*after);
  EXPECT_TRUE(bed.pipeline.is_reviewed(*after));  // at once
  EXPECT_TRUE(bed.judge(*after, 0, 99).passes());
}

// Its own rule, though one that comes earlier allows it now as well, until that rule is lost.
TEST(FlowReview, KeepsTheRuleOfAFlowAsLongAsItStands) {
  for (const bool sweeps : {false, true}) {
    ChangingNode node;
    Bed bed;
    const auto first = node.at(1);
    const rules::RuleRef rule = bed.judge(*first, 1, 54).rule;
    const rules::RuleRef earlier = node.add_rule(0, {{50, 60}});
    const auto added = node.at(2);
    EXPECT_EQ(bed.judge(*added, 1, 54).rule, rule);
    EXPECT_EQ(bed.judge(*added, 3, 54).rule, earlier);
    const rules::RuleRef other = node.add_rule(0, {{99, 99}});
    (void)node.at(3);
    node.remove_rule(0, other);
    const auto taken = node.at(4);
    while (sweeps && !bed.pipeline.is_reviewed(*taken)) bed.idle(*taken);
    EXPECT_EQ(bed.judge(*taken, 1, 54).rule, rule);
    node.remove_rule(0, rule);
    const auto lost = node.at(5);
    while (sweeps && !bed.pipeline.is_reviewed(*lost)) bed.idle(*lost);
    const Verdict verdict = bed.judge(*lost, 1, 54);
    EXPECT_EQ(verdict.flow, FlowKind::established);
    EXPECT_EQ(verdict.rule, earlier);
    node.remove_rule(0, earlier);
    const auto none = node.at(6);
    while (sweeps && !bed.pipeline.is_reviewed(*none)) bed.idle(*none);
    EXPECT_EQ(bed.judge(*none, 1, 54).reason, DropReason::revoked);
  }
}

// A kept flow that a table allows again is cut by the next one that does not: also where the table
// between only added, and no packet came under it.
TEST(FlowReview, UnmarksAKeptFlowUnderATableThatOnlyAdds) {
  ChangingNode node;
  Bed bed;
  const auto first = node.at(1);
  ASSERT_TRUE(bed.judge(*first, 1, 54).passes());
  const rules::RuleRef rule = bed.judge(*first, 1, 54).rule;
  node.remove_rule(0, rule);
  const auto kept = node.at(2, {FlowFate::keep, 0});
  while (!bed.pipeline.is_reviewed(*kept)) bed.idle(*kept);
  EXPECT_EQ(bed.pipeline.fates().kept, 1u);
  const rules::RuleRef again = node.add_rule(0, {{54, 54}});
  const auto allowed = node.at(3);
  while (!bed.pipeline.is_reviewed(*allowed)) bed.idle(*allowed);
  node.remove_rule(0, again);
  const auto cut = node.at(4);
  while (!bed.pipeline.is_reviewed(*cut)) bed.idle(*cut);
  EXPECT_EQ(bed.pipeline.fates().cut, 1u);
  EXPECT_EQ(bed.judge(*cut, 1, 54).reason, DropReason::revoked);
}

TEST(FlowReview, NamesTheRuleOfTheTableInForce) {
  Bed bed;
  const auto first = snapshot_of(1, "53"), second = snapshot_of(2, "50-60");
  const Verdict before = bed.judge(*first, 1, 53);
  bed.idle(*second);
  ASSERT_TRUE(bed.pipeline.is_reviewed(*second));
  const Verdict after = bed.judge(*second, 1, 53);
  EXPECT_EQ(before.flow, FlowKind::fresh);
  EXPECT_EQ(after.flow, FlowKind::established);
  EXPECT_NE(after.rule.rule, 0u);
  EXPECT_EQ(after.generation, 2u);
}

TEST(FlowReview, CountsPressureBeforeItHurts) {
  Bed bed;
  const auto snapshot = snapshot_of(1, "53");
  Counts counts;
  for (std::uint32_t i = 1; i < 60'000 && counts.flows_pressed == 0; i += 2) {
    ASSERT_TRUE(bed.judge(*snapshot, i, 53).passes());
    bed.pipeline.report(counts);
  }
  EXPECT_GT(counts.flows_pressed, 0u);
  EXPECT_EQ(counts.flows_replaced, 0u);
  EXPECT_LE(counts.cells_free, counts.cells_max / 4);
  EXPECT_GT(counts.cells_free, counts.cells_max / 5);
}

}  // namespace
}  // namespace sluice::dataplane
