// SPDX-License-Identifier: Apache-2.0
//
// Bursts: packets of one burst depend on each other, and must not care that they came together.
#include <gtest/gtest.h>

#include <random>

#include "dataplane/offline/replay.h"
#include "rules/compile.h"
#include "tests/oracle/random_node.h"
#include "tests/packet_builder.h"

namespace sluice::dataplane {
namespace {

using offline::Input;
using offline::Replay;
using tests::PacketBuilder;

const std::vector<std::string> kZones{"edge"};

std::shared_ptr<const Snapshot> snapshot_of(const rules::Node& node, std::uint64_t generation,
                                            std::mt19937_64& random) {
  Settings settings;
  settings.adopt_s = 300;
  if (random() % 3 == 0) settings.tracking = Tracking::rules_first;
  const FlowsOnChange flows{static_cast<FlowFate>(random() % 3), 50};
  return std::make_shared<const Snapshot>(
      Snapshot{*rules::Compiler().compile(node, kZones, generation), settings, flows});
}

// Few hosts and ports, so that packets meet in flows.
Input random_input(std::mt19937_64& random, Side side) {
  const auto pick = [&](auto... values) {
    const std::array all{values...};
    return all[random() % all.size()];
  };
  const bool v6 = random() % 3 == 0;
  const std::string lb = v6 ? pick("fd00::1", "fd00::2") : pick("10.255.0.1", "10.255.0.2");
  const std::string remote =
      v6 ? pick("2001:db8::1", "2001:db8::2") : pick("10.0.0.1", "10.0.0.17");
  const bool out = side == Side::inside;
  PacketBuilder packet(out ? lb : remote, out ? remote : lb);
  const auto port = [&] { return static_cast<std::uint16_t>(pick(80, 443, 8080)); };
  switch (random() % 6) {
    case 0:
    case 1:
    case 2:
      // Numbers that often fit and sometimes do not.
      packet.tcp(port(), port(), pick(2, 2, 0x12, 0x10, 0x11, 0x04, 0x18))
          .numbers(pick(999u, 1000u, 1001u, 1001u, 90'000u), pick(1000u, 1001u, 1001u))
          .payload(pick(0, 0, 1));
      if (random() % 20 == 0) packet.bad_transport_checksum();
      break;
    case 3:
      packet.udp(port(), port());
      break;
    case 4:
      packet.icmp(v6 ? pick(128, 129) : pick(8, 0), 0, 1);
      break;
    default: {
      PacketBuilder quoted(out ? remote : lb, out ? lb : remote);
      packet.icmp_error(v6 ? 1 : 3, 1, quoted.tcp(port(), port(), 2).ip());
    }
  }
  return {0, side, packet.frame()};
}

TEST(Pipeline, JudgesABurstAsItWouldItsPackets) {
  const auto seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 30; ++round) {
    Replay together(256), apart(256);
    TimeNs now = 1'000'000'000;
    for (std::uint64_t step = 1; step <= 150; ++step) {
      if (step % 25 == 1) {
        const rules::Node node = oracle::random_node(random, {});
        const auto snapshot = snapshot_of(node, step, random);
        ASSERT_EQ(together.publish(snapshot), apart.publish(snapshot)) << "seed " << seed;
      }
      now += random() % 20'000'000'000;
      const Side side = random() % 2 == 0 ? Side::outside : Side::inside;
      std::vector<Input> burst;
      for (std::size_t i = 0; i < 1 + random() % kBurstMax; ++i)
        burst.push_back(random_input(random, side));
      for (Input& input : burst) input.time_ns = now;
      std::array<Verdict, kBurstMax> verdicts;
      together.judge(burst, verdicts);
      for (std::size_t i = 0; i < burst.size(); ++i) {
        const Verdict alone = apart.judge(burst[i]);
        ASSERT_EQ(verdicts[i].reason, alone.reason) << "seed " << seed << " step " << step;
        ASSERT_EQ(verdicts[i].flow, alone.flow) << "seed " << seed;
        ASSERT_EQ(verdicts[i].rule, alone.rule) << "seed " << seed;
        ASSERT_EQ(verdicts[i].generation, step - (step - 1) % 25) << "seed " << seed;
      }
    }
    const Counts counts = together.counts();
    EXPECT_EQ(counts.received, counts.passed + counts.dropped_total());
    EXPECT_EQ(counts.dropped, apart.counts().dropped);
  }
}

TEST(Pipeline, ForwardsNothingBeforeATableIsThere) {
  Replay replay(16);
  const Input input{1, Side::outside, PacketBuilder("10.1.0.1", "10.0.0.10").tcp(1, 80, 2).frame()};
  EXPECT_EQ(replay.judge(input).reason, DropReason::no_table);
}

// Every cut of every kind of frame: nothing is read past its end (ASan watches), nothing crashes.
TEST(Parse, SurvivesEveryTruncationAndEveryFlippedByte) {
  std::array<std::uint16_t, kVlans> zones{};
  const Settings settings{.allow_ip_options = true, .timeouts = {}};
  const std::vector<tests::Bytes> frames{
      PacketBuilder("10.1.0.1", "10.0.0.10").tcp(1, 80, 2).frame(),
      PacketBuilder("10.1.0.1", "10.0.0.10").ipv4_options().udp(1, 53).vlan(5).frame(),
      PacketBuilder("2001:db8::1", "fd00::1").extension(0, {}).extension(60, {}).sctp(1, 2).frame(),
      PacketBuilder("2001:db8::1", "fd00::1").fragment(0, true).udp(1, 53, 16).frame(),
      PacketBuilder("10.1.0.1", "10.0.0.10")
          .icmp_error(3, 1, PacketBuilder("10.0.0.10", "10.1.0.1").udp(53, 1).ip())
          .frame(),
      PacketBuilder("fe80::1", "fd00::1")
          .hop_limit(255)
          .protocol(58, tests::Bytes(24, 135))
          .frame(),
      tests::arp_frame(1, "10.0.0.10", "10.1.0.1")};
  std::size_t parsed = 0;
  for (const auto& whole : frames) {
    for (std::size_t size = 0; size <= whole.size(); ++size) {
      for (std::size_t flip = 0; flip < std::max<std::size_t>(size, 1); ++flip) {
        const std::unique_ptr<std::uint8_t[]> exact(new std::uint8_t[size]);
        std::copy_n(whole.begin(), size, exact.get());
        if (size > 0) exact[flip] ^= 0xff;
        const Packet packet = parse({exact.get(), static_cast<std::uint32_t>(size)},
                                    {Side::outside, zones.data()}, settings);
        parsed += packet.kind != PacketKind::dropped;
      }
    }
  }
  EXPECT_GT(parsed, 0u);
}

}  // namespace
}  // namespace sluice::dataplane
