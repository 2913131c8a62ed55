// SPDX-License-Identifier: Apache-2.0
//
// Counts by id against a map; what is forgotten stays in the sums.
#include "dataplane/tally.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <random>
#include <set>
#include <vector>

namespace sluice::dataplane {
namespace {

using rules::Direction;

struct TallyBed {
  std::unique_ptr<std::byte, void (*)(void*)> memory{
      static_cast<std::byte*>(std::memset(
          std::aligned_alloc(64, (Tally::size_bytes() + 63) / 64 * 64), 0, Tally::size_bytes())),
      std::free};
  Tally tally{{memory.get(), Tally::size_bytes()}};

  std::map<std::uint32_t, LbReport> lbs() const {
    std::map<std::uint32_t, LbReport> all;
    for (std::uint32_t i = 0; i < tally.lb_entries(); ++i) {
      LbReport report;
      if (tally.lb_report(i, report)) {
        EXPECT_TRUE(all.emplace(report.passed.id, report).second) << report.passed.id;
      }
    }
    return all;
  }
  std::map<std::uint32_t, RuleCounts> rules() const {
    std::map<std::uint32_t, RuleCounts> all;
    for (std::uint32_t i = 0; i < tally.rule_entries(); ++i) {
      RuleCounts report;
      if (tally.rule_report(i, report)) {
        EXPECT_TRUE(all.emplace(report.id, report).second) << report.id;
      }
    }
    return all;
  }
  // Of each LB received = passed + dropped; all LBs together are the worker's counts.
  void expect_sums() const {
    Counts sum;
    for (const auto& [id, report] : lbs()) {
      for (std::size_t direction = 0; direction < 2; ++direction) {
        const DirectionCounts& lane = report.passed.by_direction[direction];
        std::uint64_t dropped = 0;
        for (std::size_t i = 0; i < kDropReasons; ++i) {
          dropped += report.dropped[direction][i];
          sum.dropped[i] += report.dropped[direction][i];
        }
        EXPECT_EQ(lane.received, lane.passed + dropped) << "LB " << id;
        sum.received += lane.received;
        sum.passed += lane.passed;
        sum.bytes_passed += lane.bytes_passed;
      }
    }
    EXPECT_EQ(sum, tally.counts);
  }
};

TEST(Tally, AgreesWithAMapOnRandomPackets) {
  const std::uint64_t seed = std::random_device{}();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  TallyBed bed;
  using Key = std::tuple<std::uint32_t, Direction, DropReason>;
  std::map<Key, std::uint64_t> expected;
  // Neighbours, and ids that fall on the same slots.
  const auto id = [&] {
    const auto low = static_cast<std::uint32_t>(random() % 40);
    return random() % 3 == 0 ? low + Tally::kLbSlots * static_cast<std::uint32_t>(random() % 3)
                             : low;
  };
  for (int i = 0; i < 20'000; ++i) {
    const auto direction = random() % 2 ? Direction::inbound : Direction::outbound;
    if (random() % 4 == 0) {
      const auto reason = static_cast<DropReason>(1 + random() % (kDropReasons - 1));
      const std::uint32_t lb = id();
      bed.tally.dropped(lb, direction, reason, 60);
      ++expected[{lb, direction, reason}];
      continue;
    }
    std::vector<rules::LbId> lbs;
    std::vector<std::uint32_t> sizes;
    for (std::size_t n = random() % 33; n > 0; --n) {
      lbs.push_back(!lbs.empty() && random() % 2 ? lbs.back() : id());
      sizes.push_back(static_cast<std::uint32_t>(60 + random() % 1400));
      ++expected[{lbs.back(), direction, DropReason::none}];
    }
    bed.tally.passed(direction, lbs, sizes);
  }
  bed.expect_sums();
  const auto lbs = bed.lbs();
  std::uint64_t beyond = 0;  // those that found no slot share the last entry
  for (const auto& [key, count] : expected) {
    const auto& [lb, direction, reason] = key;
    const auto d = static_cast<std::size_t>(direction);
    if (!lbs.contains(lb)) {
      beyond += count;
      continue;
    }
    const LbReport& report = lbs.at(lb);
    EXPECT_EQ(reason == DropReason::none ? report.passed.by_direction[d].passed
                                         : report.dropped[d][static_cast<std::size_t>(reason)],
              count)
        << "LB " << lb << " " << to_string(reason);
  }
  const auto& others = lbs.at(Tally::Lbs::kOthers).passed.by_direction;
  EXPECT_EQ(others[0].received + others[1].received, beyond);
}

Verdict verdict_of(rules::RuleId rule, FlowKind flow, DropReason reason = DropReason::none) {
  Verdict verdict;
  verdict.reason = reason;
  verdict.flow = flow;
  verdict.rule = {7, rule};
  return verdict;
}

TEST(Tally, CountsARuleWhereItDecidesAndNotWhereAFlowDoes) {
  TallyBed bed;
  bed.tally.judged(verdict_of(3, FlowKind::fresh));
  bed.tally.judged(verdict_of(3, FlowKind::established));
  bed.tally.judged(verdict_of(3, FlowKind::related));
  bed.tally.judged(verdict_of(3, FlowKind::adopted));
  bed.tally.judged(verdict_of(4, FlowKind::none));
  bed.tally.judged(verdict_of(0, FlowKind::none, DropReason::no_rule));
  Verdict held = verdict_of(4, FlowKind::none);
  held.is_held = true;
  bed.tally.judged(held);
  auto rules = bed.rules();
  EXPECT_EQ(rules[3].flows_opened, 2u);
  EXPECT_EQ(rules[3].packets_alone, 0u);
  EXPECT_EQ(rules[3].group, 7u);
  EXPECT_EQ(rules[4].flows_opened, 0u);
  EXPECT_EQ(rules[4].packets_alone, 1u);
  EXPECT_EQ(rules.size(), 3u) << "with the entry of others";
}

TEST(Tally, ForgetsIdsThatAreGoneAndKeepsTheirCountsInTheSums) {
  TallyBed bed;
  const std::vector<std::uint32_t> sizes{60};
  for (std::uint32_t lb = 0; lb < 100; ++lb) {
    bed.tally.passed(Direction::inbound, std::vector{lb}, sizes);
    bed.tally.dropped(lb, Direction::outbound, DropReason::no_rule, 60);
    bed.tally.judged(verdict_of(lb, FlowKind::fresh));
  }
  const std::vector<std::uint32_t> keep{5, 50, 1000};
  for (std::uint32_t i = 0; i < bed.tally.lb_entries(); ++i) bed.tally.forget_lb_unless(i, keep);
  for (std::uint32_t i = 0; i < bed.tally.rule_entries(); ++i)
    bed.tally.forget_rule_unless(i, keep);
  bed.expect_sums();
  const auto lbs = bed.lbs();
  std::set<std::uint32_t> ids;
  for (const auto& [id, report] : lbs) ids.insert(id);
  EXPECT_EQ(ids, (std::set<std::uint32_t>{0, 5, 50, Tally::Lbs::kOthers}));
  EXPECT_EQ(lbs.at(Tally::Lbs::kOthers).passed.by_direction[0].passed, 97u);
  EXPECT_EQ(bed.rules().at(Tally::Rules::kOthers).flows_opened, 97u);
  // A slot that is free again counts from nothing.
  bed.tally.dropped(7, Direction::inbound, DropReason::revoked, 60);
  EXPECT_EQ(bed.lbs().at(7).passed.by_direction[0].received, 1u);
  bed.expect_sums();
}

}  // namespace
}  // namespace sluice::dataplane
