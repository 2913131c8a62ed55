// SPDX-License-Identifier: Apache-2.0
#include "dataplane/capture.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/packet_builder.h"

namespace sluice::dataplane {
namespace {

constexpr TimeNs kSecond = 1'000'000'000;

struct Zones {
  std::array<std::uint16_t, kVlans> of_vlan{};
  Zones() {
    of_vlan.fill(kNoZone);
    of_vlan[0] = 3;
    of_vlan[42] = 4;
  }
  [[nodiscard]] Ingress from(Side side) const { return {side, of_vlan.data()}; }
};

void note(DropCapture& capture, const tests::Bytes& bytes, DropReason reason, TimeNs now,
          Side side = Side::outside) {
  static const Zones kZones;
  capture.note({bytes.data(), static_cast<std::uint32_t>(bytes.size()), 0}, kZones.from(side),
               reason, 9, 12, now);
}

TEST(DropCapture, RemembersWhatDroppedAndTheBeginningOfIt) {
  DropCapture capture(1, 10);
  const auto tagged = tests::PacketBuilder("10.1.0.1", "10.0.0.10").udp(1, 2, 200).vlan(42).frame();
  note(capture, tagged, DropReason::no_rule, kSecond, Side::inside);
  note(capture, {1, 2, 3}, DropReason::malformed, kSecond + 1);
  DropRecord record;
  ASSERT_TRUE(capture.take(record));
  EXPECT_EQ(record.reason, DropReason::no_rule);
  EXPECT_EQ(record.lb, 9u);
  EXPECT_EQ(record.generation, 12u);
  EXPECT_EQ(record.zone, 4u);
  EXPECT_EQ(record.side, Side::inside);
  EXPECT_EQ(record.worker, 1u);
  EXPECT_EQ(record.size_bytes, tagged.size());
  EXPECT_EQ(record.head_bytes, DropRecord::kHeadBytes);
  EXPECT_TRUE(std::equal(record.bytes().begin(), record.bytes().end(), tagged.begin()));
  ASSERT_TRUE(capture.take(record));
  EXPECT_EQ(record.head_bytes, 3u);
  EXPECT_EQ(record.zone, 3u);
  EXPECT_FALSE(capture.take(record));
}

TEST(DropCapture, TakesTheFirstOfEachReasonASecondAndCountsTheRest) {
  DropCapture capture(0, 5);
  const tests::Bytes bytes(60, 0);
  for (int i = 0; i < 1000; ++i)
    note(capture, bytes, DropReason::no_rule, kSecond + static_cast<TimeNs>(i));
  note(capture, bytes, DropReason::revoked, kSecond + 2000);
  for (int i = 0; i < 7; ++i) note(capture, bytes, DropReason::no_rule, 2 * kSecond);
  DropRecord record;
  int no_rule = 0, revoked = 0;
  while (capture.take(record)) ++(record.reason == DropReason::no_rule ? no_rule : revoked);
  EXPECT_EQ(no_rule, 10);
  EXPECT_EQ(revoked, 1);
  EXPECT_EQ(capture.skipped(), 995u + 2u);
}

TEST(DropCapture, KeepsTheOldestWhenNobodyTakesThem) {
  DropCapture capture(0, 1'000'000);
  const tests::Bytes bytes(60, 0);
  for (std::uint32_t i = 0; i < DropCapture::kRecords + 100; ++i)
    note(capture, bytes, DropReason::no_rule, kSecond + i);
  EXPECT_EQ(capture.skipped(), 100u);
  DropRecord record;
  std::uint32_t count = 0;
  while (capture.take(record)) EXPECT_EQ(record.time_ns, kSecond + count++);
  EXPECT_EQ(count, DropCapture::kRecords);
}

TEST(DropCapture, RecordsNothingIfNothingIsWanted) {
  DropCapture capture(0, 0);
  note(capture, tests::Bytes(60, 0), DropReason::no_rule, kSecond);
  DropRecord record;
  EXPECT_FALSE(capture.take(record));
  EXPECT_EQ(capture.skipped(), 1u);
}

TEST(DropCapture, HandsWholeRecordsToAnotherThread) {
  DropCapture capture(0, ~std::uint32_t{0});
  constexpr std::uint64_t kDrops = 100'000;
  std::atomic<bool> done{false};
  std::thread worker([&] {
    for (std::uint64_t i = 1; i <= kDrops; ++i)
      note(capture, tests::Bytes(60, static_cast<std::uint8_t>(i)), DropReason::no_rule, i);
    done = true;
  });
  std::uint64_t taken = 0, last = 0;
  DropRecord record;
  while (true) {
    const bool was_done = done;
    while (capture.take(record)) {
      ASSERT_GT(record.time_ns, last);
      last = record.time_ns;
      for (const std::uint8_t byte : record.bytes())
        ASSERT_EQ(byte, static_cast<std::uint8_t>(record.time_ns));
      ++taken;
    }
    if (was_done) break;
  }
  worker.join();
  EXPECT_EQ(taken + capture.skipped(), kDrops);
  EXPECT_GT(taken, 0u);
}

}  // namespace
}  // namespace sluice::dataplane
