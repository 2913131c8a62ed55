// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/dataplane/flow_table_bed.h"

namespace sluice::dataplane {
namespace {

using tests::FlowTableBed;
using tests::key_of;
using tests::kSecond;

std::uint64_t whole_seconds(TimeNs time) {
  return time / kSecond;
}

// A std::map that forgets after the idle time, and nothing else. Both families, the table nearly
// full at times, so that buckets overflow and flows move.
void agree_with_a_map(std::uint32_t flows_max, std::uint64_t numbers, int steps) {
  const auto seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  FlowTableBed bed(flows_max);
  struct Twin {
    TimeNs seen;
    bool replied;
  };
  std::map<std::uint64_t, Twin> twin;
  TimeNs now = kSecond;
  const auto is_over = [&](const Twin& flow) {
    return whole_seconds(now) - whole_seconds(flow.seen) > (flow.replied ? 180u : 30u);
  };
  for (int step = 0; step < steps; ++step) {
    now += random() % (kSecond / 20);
    bed.at(now);
    const std::uint64_t number = random() % numbers;
    const FlowKey key = key_of(number * 7919, number % 3 == 0);
    const auto known = twin.find(number);
    const bool live = known != twin.end() && !is_over(known->second);
    Flow* flow = bed.find(key);
    ASSERT_EQ(flow != nullptr, live) << "seed " << seed << " step " << step;
    if (live) {
      ASSERT_EQ(bed.table.key_of(*flow), key) << "seed " << seed;
    }
    switch (random() % 4) {
      case 0:
        if (live) {
          bed.table.erase(flow);
          twin.erase(number);
        }
        break;
      case 1:
        if (live) {
          bed.table.touch(flow);
          bed.reply(key, flow);
          known->second = {now, true};
        }
        break;
      default:
        if (!live) {
          ASSERT_NE(bed.insert(key), nullptr) << "seed " << seed << " step " << step;
          twin[number] = {now, false};
        }
    }
    bed.table.expire(2);
  }
  std::erase_if(twin, [&](const auto& entry) { return is_over(entry.second); });
  bed.table.expire(1u << 16);
  EXPECT_EQ(bed.table.live(), twin.size()) << "seed " << seed;
  std::uint64_t embryonic = 0;
  for (const auto& [number, flow] : twin) embryonic += !flow.replied;
  EXPECT_EQ(bed.table.embryonic(), embryonic) << "seed " << seed;
}

TEST(FlowTable, AgreesWithAMapOnRandomOperations) {
  agree_with_a_map(4096, 1500, 300'000);
}
TEST(FlowTable, AgreesWithAMapWhenItIsSmallAndFull) {
  agree_with_a_map(64, 40, 100'000);
}

TEST(FlowTable, TakesAsManyFlowsAsItSays) {
  for (bool ipv6 : {false, true}) {
    for (std::uint32_t flows : {1u, 2u, 3u, 100u, 5000u, 65536u}) {
      FlowTableBed bed(ipv6 ? flows * 2 : flows);
      for (std::uint64_t i = 0; i < flows; ++i) {
        Flow* flow = bed.insert(key_of(i, ipv6));
        ASSERT_NE(flow, nullptr) << flows << ' ' << i;
        bed.table.mark_replied(flow);
      }
      EXPECT_EQ(bed.table.live(), flows);
      EXPECT_EQ(bed.table.cells_free(), 0u);
      EXPECT_EQ(bed.insert(key_of(1u << 20, ipv6)), nullptr);
      for (std::uint64_t i = 0; i < flows; ++i) ASSERT_NE(bed.find(key_of(i, ipv6)), nullptr);
    }
  }
}

TEST(FlowTable, GivesBackWhatItTook) {
  FlowTableBed bed(5000);
  for (int round = 0; round < 20; ++round) {
    for (std::uint64_t i = 0; i < 3000; ++i) (void)bed.insert(key_of(i, i % 2 == 0));
    for (std::uint64_t i = 0; i < 3000; ++i)
      if (Flow* flow = bed.find(key_of(i, i % 2 == 0))) bed.table.erase(flow);
    ASSERT_EQ(bed.table.live(), 0u);
    ASSERT_EQ(bed.table.embryonic(), 0u);
    ASSERT_EQ(bed.table.cells_free(), 5000u);
  }
}

TEST(FlowTable, ReplacesTheOldestFlowWithoutAReplyAndNeverOthers) {
  FlowTableBed bed(1000);
  for (std::uint64_t i = 0; i < 500; ++i) bed.table.mark_replied(bed.insert(key_of(i)));
  for (std::uint64_t i = 500; i < 5000; ++i) {
    (void)bed.insert(key_of(i));
    if (i < 1000) continue;
    ASSERT_EQ(bed.find(key_of(i - 500)), nullptr) << i;  // the oldest
    ASSERT_NE(bed.find(key_of(i - 499)), nullptr) << i;  // the one after it
  }
  EXPECT_EQ(bed.table.live(), 1000u);
  EXPECT_EQ(bed.table.replaced(), 4000u);
  for (std::uint64_t i = 0; i < 500; ++i) EXPECT_NE(bed.find(key_of(i)), nullptr) << i;
}

// A thousand hosts, one after the other or all at once.
TEST(FlowTable, LetsNoHostTakeMoreThanItsShare) {
  for (bool in_turn : {false, true}) {
    FlowTableBed bed(1u << 16);
    FlowKey key = key_of(0);
    for (std::uint32_t i = 0; i < 1'000'000; ++i) {
      key.remote_low = 0x0b000000 + (in_turn ? i % 1000 : i / 1000);
      key.remote_port = static_cast<std::uint16_t>(in_turn ? i / 1000 : i % 1000);
      ASSERT_NE(bed.insert(key), nullptr);
    }
    EXPECT_GT(bed.table.cells_free(), (1u << 16) / 10) << in_turn;
    EXPECT_EQ(bed.table.replaced(), 0u);
    EXPECT_GT(bed.table.replaced_by_share(), 900'000u);
  }
}

TEST(FlowTable, FillsUpWithHostsWithoutNumberAndStillServesTheNext) {
  FlowTableBed bed(1u << 14);
  FlowKey key = key_of(0);
  for (std::uint32_t host = 0; host < 200'000; ++host) {
    key.remote_low = host * 2654435761u;
    ASSERT_NE(bed.insert(key), nullptr);
    ASSERT_NE(bed.find(key), nullptr);
  }
  EXPECT_GT(bed.table.live(), 16'000u);
  EXPECT_TRUE(bed.table.is_pressed());
}

TEST(FlowTable, SweepsWhatIsOverAndFollowsShorterIdleTimes) {
  FlowTableBed bed(1024);
  const FlowKey opening = key_of(1), closed = key_of(2), idle = key_of(3);
  const auto insert = [&](const FlowKey& key) {
    return bed.table.insert(key, bed.table.hash(key), FlowState::tcp_first);
  };
  (void)insert(opening);
  Flow* flow = insert(closed);
  bed.table.set_state(flow, bed.table.hash(closed), static_cast<FlowState>(TcpState::established));
  flow = insert(idle);
  bed.table.set_state(flow, bed.table.hash(idle), static_cast<FlowState>(TcpState::established));
  bed.at(20 * kSecond);
  flow = bed.find(closed);
  bed.table.touch(flow);
  bed.table.set_state(flow, bed.table.hash(closed), static_cast<FlowState>(TcpState::reset));
  const auto live_at = [&](std::uint64_t second) {
    bed.at(second * kSecond);
    bed.table.expire(1024);
    return bed.table.live();
  };
  EXPECT_EQ(live_at(30), 3u);
  EXPECT_EQ(live_at(31), 2u);  // reset at 20: 10 s
  EXPECT_EQ(live_at(61), 2u);  // opened at 1: 60 s
  EXPECT_EQ(live_at(62), 1u);
  EXPECT_EQ(live_at(7441), 1u);  // established at 1: 7440 s
  EXPECT_EQ(live_at(7442), 0u);
}

TEST(FlowTable, RemembersForDaysWhereItIsToldTo) {
  FlowTableBed bed(16);
  bed.timeouts.udp_unreplied_s = 7 * 24 * 3600;
  bed.at(kSecond);
  (void)bed.insert(key_of(1));
  for (std::uint64_t hour = 0; hour < 7 * 24; ++hour) {
    bed.at((1 + hour * 3600) * kSecond);
    bed.table.expire(16);
    ASSERT_EQ(bed.table.live(), 1u) << hour;
  }
  bed.at((7 * 24 * 3600 + 2) * kSecond);
  bed.table.expire(16);
  EXPECT_EQ(bed.table.live(), 0u);
}

TEST(FlowTable, DirtiesNothingWithinOneSecond) {
  FlowTableBed bed(16);
  Flow* flow = bed.insert(key_of(1));
  const Flow before = *flow;
  bed.at(kSecond + kSecond / 2);
  bed.table.touch(flow);
  EXPECT_EQ(std::memcmp(&before, flow, sizeof(before)), 0);
  bed.at(2 * kSecond);
  bed.table.touch(flow);
  EXPECT_EQ(flow->seen_s, 2u);
}

}  // namespace
}  // namespace sluice::dataplane
