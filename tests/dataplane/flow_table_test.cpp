// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <tuple>

#include "dataplane/flow_table.h"

namespace sluice::dataplane {
namespace {

constexpr TimeNs kSecond = 1'000'000'000;

struct Fixture {
  explicit Fixture(std::uint32_t flows_max, HashSecret secret = {1, 2})
      : memory(FlowTable::size_bytes(flows_max) + 64),
        table(aligned(flows_max), flows_max, secret) {}
  FlowMemory aligned(std::uint32_t flows_max) {
    const auto at = (reinterpret_cast<std::uintptr_t>(memory.data()) + 63) / 64 * 64;
    return {reinterpret_cast<std::byte*>(at), FlowTable::size_bytes(flows_max)};
  }
  Flow* find(const FlowKey& key, TimeNs now) {
    return table.find(key, table.hash(key), now, timeouts);
  }
  Flow* insert(const FlowKey& key, TimeNs now) {
    return table.insert(key, table.hash(key), now, timeouts);
  }
  std::vector<std::byte> memory;
  FlowTable table;
  FlowTimeouts timeouts;
};

FlowKey key_of(std::uint64_t number) {
  FlowKey key;
  key.remote_low = number;
  key.protocol = 17;
  return key;
}

// A std::map that forgets after the timeout, and nothing else.
TEST(FlowTable, AgreesWithAMapOnRandomOperations) {
  const auto seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  Fixture fixture(4096);
  struct Twin {
    TimeNs seen;
    bool replied;
  };
  std::map<std::uint64_t, Twin> twin;
  TimeNs now = kSecond;
  const auto is_over = [&](const Twin& flow) {
    const std::uint64_t idle = now / 1'000'000 - flow.seen / 1'000'000;
    return idle >= (flow.replied ? 180'000u : 30'000u);
  };
  for (int step = 0; step < 300'000; ++step) {
    now += random() % (kSecond / 20);
    const std::uint64_t number = random() % 1500;
    const auto known = twin.find(number);
    const bool live = known != twin.end() && !is_over(known->second);
    Flow* flow = fixture.find(key_of(number), now);
    ASSERT_EQ(flow != nullptr, live) << "step " << step;
    switch (random() % 4) {
      case 0:
        if (live) {
          fixture.table.erase(flow);
          twin.erase(number);
        }
        break;
      case 1:
        if (live) {
          fixture.table.mark_replied(flow);
          FlowTable::touch(flow, now);
          known->second = {now, true};
        }
        break;
      default:
        if (!live) {
          ASSERT_NE(fixture.insert(key_of(number), now), nullptr);
          twin[number] = {now, false};
        }
    }
    fixture.table.expire(now, fixture.timeouts, 2);
  }
  std::erase_if(twin, [&](const auto& entry) { return is_over(entry.second); });
  fixture.table.expire(now, fixture.timeouts, 1u << 16);
  EXPECT_EQ(fixture.table.live(), twin.size());
}

TEST(FlowTable, TakesAsManyFlowsAsItSays) {
  for (std::uint32_t flows_max : {1u, 2u, 3u, 100u, 5000u}) {
    Fixture fixture(flows_max);
    std::uint32_t inserted = 0;
    for (std::uint64_t i = 0; i < flows_max; ++i) {
      Flow* flow = fixture.insert(key_of(i), kSecond);
      ASSERT_NE(flow, nullptr) << flows_max << ' ' << i;
      fixture.table.mark_replied(flow);
      ++inserted;
    }
    EXPECT_EQ(fixture.table.live(), inserted);
    EXPECT_EQ(fixture.insert(key_of(1u << 20), kSecond), nullptr);
    for (std::uint64_t i = 0; i < flows_max; ++i)
      EXPECT_NE(fixture.find(key_of(i), kSecond), nullptr);
  }
}

TEST(FlowTable, ReplacesFlowsWithoutAReplyAndNeverOthers) {
  Fixture fixture(1000);
  for (std::uint64_t i = 0; i < 500; ++i)
    fixture.table.mark_replied(fixture.insert(key_of(i), kSecond));
  for (std::uint64_t i = 500; i < 20'000; ++i)
    (void)fixture.insert(key_of(i), kSecond + i * 1'000'000);
  EXPECT_EQ(fixture.table.live(), 1000u);
  EXPECT_GT(fixture.table.replaced(), 15'000u);
  for (std::uint64_t i = 0; i < 500; ++i) EXPECT_NE(fixture.find(key_of(i), kSecond), nullptr) << i;
}

TEST(FlowHash, DependsOnEveryFieldAndOnTheSecret) {
  const HashSecret secret{3, 4};
  std::vector<std::uint64_t> seen{hash_of(key_of(0), secret)};
  const auto differs = [&](FlowKey key, HashSecret with) {
    const std::uint64_t hash = hash_of(key, with);
    EXPECT_EQ(std::count(seen.begin(), seen.end(), hash), 0);
    seen.push_back(hash);
  };
  FlowKey key = key_of(0);
  differs(key, {3, 5});
  differs(key, {4, 4});
  auto with = [&](auto change) {
    FlowKey changed = key_of(0);
    change(changed);
    differs(changed, secret);
  };
  with([](FlowKey& k) { k.local_high = 1; });
  with([](FlowKey& k) { k.local_low = 1; });
  with([](FlowKey& k) { k.remote_high = 1; });
  with([](FlowKey& k) { k.remote_low = 1; });
  with([](FlowKey& k) { k.local_port = 1; });
  with([](FlowKey& k) { k.remote_port = 1; });
  with([](FlowKey& k) { k.zone = 1; });
  with([](FlowKey& k) { k.protocol = 6; });
  with([](FlowKey& k) { k.family = rules::Family::ipv6; });
}

// Keys as an attacker or a proxy has them: one address, ports in sequence.
TEST(FlowHash, SpreadsKeysThatHardlyDiffer) {
  constexpr int kBins = 1024, kKeys = 1 << 18;
  std::vector<int> bins(kBins);
  for (std::uint32_t i = 0; i < kKeys; ++i) {
    FlowKey key = key_of(i >> 16);
    key.remote_port = static_cast<std::uint16_t>(i);
    ++bins[hash_of(key, {7, 8}) % kBins];
  }
  double chi = 0;
  const double expected = static_cast<double>(kKeys) / kBins;
  for (int count : bins) chi += (count - expected) * (count - expected) / expected;
  // Chi-squared with 1,023 degrees of freedom: mean 1,023, standard deviation 45.
  EXPECT_LT(chi, 1023 + 6 * 45);
  EXPECT_GT(chi, 1023 - 6 * 45);
}

}  // namespace
}  // namespace sluice::dataplane
