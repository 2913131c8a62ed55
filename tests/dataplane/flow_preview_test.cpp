// SPDX-License-Identifier: Apache-2.0
//
// What a preview says is what the review then counts, and asking leaves no mark.
#include "dataplane/flow_preview.h"

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

Snapshot snapshot_of(std::uint64_t generation, const std::string& ports, FlowsOnChange flows = {}) {
  const auto document = rules::node_from_json(*rules::parse_json(
      R"({"security_groups":[{"name":"g","rules":[
      {"rule_type":"Inbound","protocol_name":"UDP","network":"any","port_range":")" +
      ports + R"("},
      {"rule_type":"Outbound","protocol_name":"TCP","port_range":"1","network":"any"}]}],
      "load_balancers":[{"name":"a","addresses":["10.0.0.10","fd00::10"],
      "security_groups":["g"]}]})"));
  const std::vector<std::string> zones{""};
  return {*rules::Compiler().compile(document->node, zones, generation), {}, flows};
}

struct Bed {
  tests::FlowTableBed flows{1u << 14};
  tests::FragmentTrackerBed fragments{64};
  Pipeline pipeline{flows.table, fragments.tracker};
  FlowPreview preview{flows.table};
  std::array<std::uint16_t, kVlans> zones{};

  Verdict judge(const Snapshot& snapshot, std::uint16_t client, std::uint16_t port) {
    const bool ipv6 = client % 2 == 0;
    const auto bytes =
        tests::PacketBuilder(ipv6 ? "2001:db8::1" : "11.0.0.1", ipv6 ? "fd00::10" : "10.0.0.10")
            .udp(client, port)
            .frame();
    const Frame frame{bytes.data(), static_cast<std::uint32_t>(bytes.size())};
    Verdict verdict;
    pipeline.judge(&snapshot, {Side::outside, zones.data()}, {&frame, 1}, kSecond, {&verdict, 1});
    return verdict;
  }
  void review(const Snapshot& snapshot) {
    while (!pipeline.is_reviewed(snapshot)) pipeline.judge(&snapshot, {}, {}, kSecond, {});
  }
  FateCounts ask(const Snapshot& snapshot, std::uint64_t number) {
    while (preview.counts().generation != number || preview.counts().complete == 0)
      preview.go_on({&snapshot, number}, 100);
    return preview.counts();
  }
};

TEST(FlowPreview, CountsWhatTheReviewThenCounts) {
  const auto seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  for (const FlowFate fate : {FlowFate::cut, FlowFate::keep, FlowFate::drain}) {
    Bed bed;
    const Snapshot all = snapshot_of(1, "50-69");
    bed.pipeline.judge(&all, {}, {}, kSecond, {});
    for (std::uint16_t client = 1; client < 2000; ++client)
      ASSERT_TRUE(bed.judge(all, client, static_cast<std::uint16_t>(50 + random() % 20)).passes());
    std::uint64_t number = 0;
    for (std::uint64_t generation = 2; generation < 8; ++generation) {
      const int first = 50 + static_cast<int>(random() % 15);
      const Snapshot next = snapshot_of(
          generation, std::to_string(first) + "-" + std::to_string(first + 5), {fate, 100});
      const FateCounts asked = bed.ask(next, ++number);
      EXPECT_EQ(bed.ask(next, ++number).cut, asked.cut);
      bed.review(next);
      const FateCounts& done = bed.pipeline.fates();
      EXPECT_EQ(asked.cut, done.cut) << "seed " << seed;
      EXPECT_EQ(asked.kept, done.kept) << "seed " << seed;
      EXPECT_EQ(asked.draining, done.draining) << "seed " << seed;
      if (generation == 2) {
        EXPECT_GT(asked.cut + asked.kept + asked.draining, 0u) << "seed " << seed;
      }
    }
  }
}

TEST(FlowPreview, CountsFlowsOfALoadBalancerThatGoes) {
  Bed bed;
  const Snapshot all = snapshot_of(1, "53");
  bed.pipeline.judge(&all, {}, {}, kSecond, {});
  ASSERT_TRUE(bed.judge(all, 7, 53).passes());
  const std::vector<std::string> zones{""};
  const Snapshot none{*rules::Compiler().compile(rules::Node{}, zones, 2), {}, {}};
  EXPECT_EQ(bed.ask(none, 1).cut, 1u);
  EXPECT_TRUE(bed.judge(all, 7, 53).passes());
}

}  // namespace
}  // namespace sluice::dataplane
