// SPDX-License-Identifier: Apache-2.0
#include "dataplane/round_watch.h"

#include <gtest/gtest.h>

namespace sluice::dataplane {
namespace {

TEST(RoundWatch, RaisesOneAlarmAndTellsWhenItIsOver) {
  RoundWatch watch(1000, 100);
  std::uint64_t now = 5000, rounds = 7;
  EXPECT_EQ(watch.look(rounds, now), RoundChange::none);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(watch.look(++rounds, now += 100), RoundChange::none);
  for (int i = 0; i < 9; ++i) EXPECT_EQ(watch.look(rounds, now += 100), RoundChange::none);
  EXPECT_EQ(watch.silent_ms(), 900u);
  EXPECT_EQ(watch.look(rounds, now += 100), RoundChange::hangs);
  EXPECT_TRUE(watch.is_hung());
  for (int i = 0; i < 50; ++i) EXPECT_EQ(watch.look(rounds, now += 100), RoundChange::none);
  EXPECT_EQ(watch.silent_ms(), 6000u);
  EXPECT_EQ(watch.look(++rounds, now += 100), RoundChange::goes_on);
  EXPECT_EQ(watch.silent_ms(), 0u);
  EXPECT_EQ(watch.look(rounds, now += 100), RoundChange::none);
}

TEST(RoundWatch, BlamesNoWorkerForAProcessThatWasStopped) {
  RoundWatch watch(1000, 100);
  std::uint64_t now = 5000;
  (void)watch.look(7, now);
  // Everything stood still for a minute, and this thread woke first.
  EXPECT_EQ(watch.look(7, now += 60'000), RoundChange::none);
  EXPECT_EQ(watch.silent_ms(), 200u);
  EXPECT_EQ(watch.look(8, now += 100), RoundChange::none);
  EXPECT_EQ(watch.silent_ms(), 0u);
}

TEST(RoundWatch, NoticesAWorkerThatNeverMakesItsFirstRound) {
  RoundWatch watch(300, 100);
  std::uint64_t now = 1;
  EXPECT_EQ(watch.look(0, now), RoundChange::none);
  EXPECT_EQ(watch.look(0, now += 100), RoundChange::none);
  EXPECT_EQ(watch.look(0, now += 100), RoundChange::none);
  EXPECT_EQ(watch.look(0, now += 100), RoundChange::hangs);
}

}  // namespace
}  // namespace sluice::dataplane
