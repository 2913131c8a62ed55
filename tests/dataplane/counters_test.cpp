// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <thread>

#include "dataplane/counters.h"

namespace sluice::dataplane {
namespace {

TEST(SharedCounts, ShowNoReaderAHalfWrittenBurst) {
  SharedCounts shared;
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    Counts counts;
    for (int i = 0; i < 200'000 && !stop; ++i) {
      counts.add(DropReason::none, 60);
      counts.add(DropReason::no_rule, 60);
      counts.add(DropReason::transmit_full, 60);
      shared.publish(counts);
    }
    stop = true;
  });
  std::uint64_t reads = 0, last = 0;
  while (!stop) {
    const Counts counts = shared.read();
    ASSERT_EQ(counts.received, counts.passed + counts.dropped_total());
    ASSERT_GE(counts.received, last);
    last = counts.received;
    ++reads;
  }
  stop = true;
  writer.join();
  EXPECT_GT(reads, 0u);
  EXPECT_EQ(shared.read().received, 600'000u);
}

TEST(Counts, AddUp) {
  Counts a, b;
  a.add(DropReason::none, 100);
  b.add(DropReason::revoked, 100);
  a += b;
  EXPECT_EQ(a.received, 2u);
  EXPECT_EQ(a.passed, 1u);
  EXPECT_EQ(a.dropped_total(), 1u);
  EXPECT_EQ(a.bytes_passed, 100u);
}

}  // namespace
}  // namespace sluice::dataplane
