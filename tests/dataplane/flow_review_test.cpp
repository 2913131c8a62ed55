// SPDX-License-Identifier: Apache-2.0
//
// Live flows under a new table, where packets and the sweep come by in any order.
#include "dataplane/flow_review.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

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

// Two LBs of a node that changes under one compiler.
struct ChangingNode {
  rules::Compiler compiler;
  std::string ports[2] = {"53,54", "53,54"};

  std::shared_ptr<const Snapshot> at(std::uint64_t generation) {
    std::string groups, lbs;
    for (int i : {0, 1}) {
      groups += fmt::format(
          R"({}{{"name":"g{}","rules":[
          {{"rule_type":"Inbound","protocol_name":"UDP","network":"any","port_range":"{}"}},
          {{"rule_type":"Outbound","protocol_name":"TCP","network":"any","port_range":"1"}}]}})",
          i == 0 ? "" : ",", i, ports[i]);
      lbs += fmt::format(R"({}{{"name":"l{}","addresses":["10.0.0.1{}","fd00::1{}"],
          "security_groups":["g{}"]}})",
                         i == 0 ? "" : ",", i, i, i, i);
    }
    const auto document = rules::node_from_json(*rules::parse_json(
        fmt::format(R"({{"security_groups":[{}],"load_balancers":[{}]}})", groups, lbs)));
    // What did not change is the same value, as the service has it.
    if (node.groups.empty()) node = document->node;
    for (const auto& [id, group] : document->node.groups)
      if (group->rules != node.groups.at(id)->rules) node.groups[id] = group;
    const std::vector<std::string> zones{""};
    return std::make_shared<const Snapshot>(Snapshot{*compiler.compile(node, zones, generation)});
  }
  rules::Node node;
};

TEST(FlowReview, LeavesAloneWhatAChangeDoesNotTouch) {
  ChangingNode node;
  Bed bed;
  const auto first = node.at(1);
  for (std::uint32_t i = 0; i < 100; ++i) ASSERT_TRUE(bed.judge(*first, i, 54).passes());
  node.ports[1] = "53";
  const auto of_another = node.at(2);
  EXPECT_TRUE(bed.judge(*of_another, 0, 54).passes());
  while (!bed.pipeline.is_reviewed(*of_another)) bed.idle(*of_another);
  EXPECT_EQ(bed.pipeline.fates().cut, 0u);
  const auto nothing = node.at(3);
  bed.judge(*nothing, 0, 54);
  EXPECT_TRUE(bed.pipeline.is_reviewed(*nothing));  // at once
  node.ports[0] = "53";
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
    node.ports[0] = "53";
    const auto before = node.at(1);
    ASSERT_TRUE(bed.judge(*before, 0, 53).passes());
    node.ports[0] = "53,54";
    const auto failed = node.at(2);
    ASSERT_TRUE(bed.judge(*failed, 1, 54).passes());
    ASSERT_TRUE(bed.judge(*failed, 3, 54).passes());
    EXPECT_EQ(bed.judge(*before, 1, 54).reason, DropReason::revoked);
    if (sweeps) {
      while (!bed.pipeline.is_reviewed(*before)) bed.idle(*before);
      EXPECT_EQ(bed.pipeline.fates().cut, 2u);
    }
    node.ports[0] = "53";
    node.ports[1] = "54";
    const auto next = node.at(3);
    EXPECT_EQ(bed.judge(*next, 3, 54).reason, DropReason::revoked);
    EXPECT_TRUE(bed.judge(*next, 0, 53).passes());
  }
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
