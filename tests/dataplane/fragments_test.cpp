// SPDX-License-Identifier: Apache-2.0
//
// The bounds of the fragment tracker, and what a flood of fragments may not do.
#include "dataplane/fragments.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "dataplane/offline/replay.h"
#include "rules/compile.h"
#include "rules/node_json.h"
#include "tests/packet_builder.h"

namespace sluice::dataplane {
namespace {

using offline::Input;
using offline::Replay;
using tests::Bytes;
using tests::PacketBuilder;

constexpr TimeNs kMs = 1'000'000;

std::shared_ptr<const Snapshot> snapshot() {
  const auto document = rules::node_from_json(*rules::parse_json(
      R"({"security_groups":[{"name":"g","rules":[
        {"rule_type":"Inbound","protocol_name":"UDP","port_range":"53","network":"any"},
        {"rule_type":"Outbound","protocol_name":"TCP","port_range":"1","network":"any"}]}],
        "load_balancers":[{"name":"a","addresses":["10.0.0.10"],"security_groups":["g"]}]})"));
  const std::vector<std::string> zones{""};
  return std::make_shared<const Snapshot>(
      Snapshot{*rules::Compiler().compile(document->node, zones, 1), {.timeouts = {}}});
}

std::string address(std::uint32_t number) {
  return rules::to_string(rules::Address::ipv4(0x0b000000u + number));
}

Input first_of(std::uint32_t client, std::uint16_t port, std::uint32_t id, TimeNs now) {
  return {now, Side::outside,
          PacketBuilder(address(client), "10.0.0.10")
              .udp(1000, port, 24)
              .fragment(0, true, id)
              .frame()};
}
Input later_of(std::uint32_t client, std::uint32_t id, TimeNs now, std::uint16_t offset = 32,
               bool more = false) {
  return {now, Side::outside,
          PacketBuilder(address(client), "10.0.0.10")
              .udp(0, 0)
              .fragment(offset, more, id)
              .payload_of_fragment(Bytes(8, 1))
              .frame()};
}
Input whole_of(std::uint32_t client, Side side, TimeNs now) {
  const std::string peer = address(client);
  return side == Side::outside
             ? Input{now, side, PacketBuilder(peer, "10.0.0.10").udp(1000, 53).frame()}
             : Input{now, side, PacketBuilder("10.0.0.10", peer).udp(53, 1000).frame()};
}

// A gate with its books: what came in is passed, dropped or held, at every instant.
class Gate {
 public:
  explicit Gate(std::uint32_t datagrams_max, std::uint32_t flows_max = 1 << 16)
      : replay_(flows_max, {1, 2}, datagrams_max) {
    replay_.publish(snapshot());
  }
  Verdict judge(const Input& input) {
    const Verdict verdict = replay_.judge(input);
    verdicts_.push_back(verdict);
    settle_released();
    return verdict;
  }
  void pass_time(TimeNs now) {
    replay_.pass_time(now);
    settle_released();
  }
  void finish() {
    replay_.finish();
    settle_released();
  }
  // Of the n-th packet, as it stands now.
  const Verdict& verdict(std::size_t number) const { return verdicts_.at(number); }
  std::size_t next() const { return verdicts_.size(); }
  Counts counts() const { return replay_.counts(); }
  std::size_t held() const { return counts().fragments_held; }

 private:
  void settle_released() {
    for (const auto& released : replay_.take_released()) {
      EXPECT_TRUE(verdicts_.at(released.number).is_held);
      EXPECT_FALSE(released.verdict.is_held);
      verdicts_[released.number] = released.verdict;
    }
    const Counts now = counts();
    ASSERT_EQ(now.received, now.passed + now.dropped_total());
    ASSERT_EQ(now.received + now.fragments_held, verdicts_.size());
  }
  Replay replay_;
  std::vector<Verdict> verdicts_;
};

TEST(Fragments, HoldsSoManyFramesOfOneDatagramAndNoMore) {
  Gate gate(64);
  for (std::uint16_t i = 0; i < FragmentTracker::kHeldPerDatagram; ++i)
    EXPECT_TRUE(
        gate.judge(later_of(1, 7, kMs, static_cast<std::uint16_t>(32 + 8 * i), true)).is_held);
  const Verdict beyond = gate.judge(later_of(1, 7, kMs, 2000, true));
  EXPECT_EQ(beyond.reason, DropReason::fragment_orphan);
  EXPECT_TRUE(gate.judge(first_of(1, 53, 7, kMs)).passes());
  for (std::uint16_t i = 0; i < FragmentTracker::kHeldPerDatagram; ++i)
    EXPECT_TRUE(gate.verdict(i).passes()) << i;
  EXPECT_EQ(gate.held(), 0u);
}

TEST(Fragments, GivesUpTheOldestWhenTooManyAreHeld) {
  Gate gate(8192);
  for (std::uint32_t i = 0; i < FragmentTracker::kHeldFramesMax; ++i)
    ASSERT_TRUE(gate.judge(later_of(i, 7, kMs)).is_held) << i;
  for (std::uint32_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(gate.judge(later_of(100'000 + i, 7, kMs)).is_held);
    EXPECT_EQ(gate.verdict(i).reason, DropReason::fragment_orphan) << i;
    EXPECT_TRUE(gate.verdict(i + 1).is_held);
    EXPECT_EQ(gate.held(), FragmentTracker::kHeldFramesMax);
  }
  gate.finish();
  EXPECT_EQ(gate.held(), 0u);
  EXPECT_EQ(gate.counts().dropped[static_cast<std::size_t>(DropReason::fragment_orphan)],
            gate.next());
}

TEST(Fragments, HoldsNothingOfADatagramThatFillsTheQueueAlone) {
  // 16 datagrams fill the queue; the oldest grows no further: it is given up with its newcomer.
  Gate gate(8192);
  for (std::uint32_t datagram = 0; datagram < 16; ++datagram)
    for (std::uint16_t i = 0; i < (datagram == 0 ? 63 : 64); ++i)
      ASSERT_TRUE(
          gate.judge(later_of(datagram, 7, kMs, static_cast<std::uint16_t>(32 + 8 * i), true))
              .is_held);
  ASSERT_TRUE(gate.judge(later_of(99, 7, kMs)).is_held);
  ASSERT_EQ(gate.held(), FragmentTracker::kHeldFramesMax);
  EXPECT_EQ(gate.judge(later_of(0, 7, kMs, 1000, true)).reason, DropReason::fragment_orphan);
  EXPECT_EQ(gate.held(), FragmentTracker::kHeldFramesMax - 63);
  EXPECT_EQ(gate.verdict(0).reason, DropReason::fragment_orphan);
}

TEST(Fragments, DropsADatagramOfMorePiecesThanAnyLinkMakes) {
  Gate gate(64);
  EXPECT_TRUE(gate.judge(first_of(1, 53, 7, kMs)).passes());
  for (std::uint16_t i = 1; i < Datagram::kPartsMax; ++i)
    ASSERT_TRUE(
        gate.judge(later_of(1, 7, kMs, static_cast<std::uint16_t>(24 + 8 * i), true)).passes());
  EXPECT_EQ(gate.judge(later_of(1, 7, kMs, 2000, true)).reason, DropReason::fragment_invalid);
  EXPECT_EQ(gate.judge(later_of(1, 7, kMs, 40, true)).reason, DropReason::fragment_invalid);
}

TEST(Fragments, ForgetsAfterTheClockHasWrapped) {
  const TimeNs wrap = (std::uint64_t{1} << 32) * 1000;
  for (const TimeNs step : {wrap, wrap / 8, kMs * 1900}) {
    Gate gate(8);
    const TimeNs begin = 1000 * kMs;
    EXPECT_TRUE(gate.judge(first_of(1, 53, 7, begin)).passes());
    for (TimeNs now = begin; now < begin + wrap; now += step) gate.pass_time(now);
    EXPECT_TRUE(gate.judge(later_of(1, 7, begin + wrap)).is_held) << step;
    gate.pass_time(begin + wrap + 200 * kMs);
    EXPECT_EQ(gate.held(), 0u);
  }
}

// What may not hurt: datagrams of a live flow, one in progress while the flood comes by. What the
// flood is made of:
struct Flood {
  const char* name;
  std::function<Input(std::uint32_t n, TimeNs now)> packet;
  bool may_open_flows = false;
};

std::vector<Flood> floods() {
  return {
      {"LaterFragmentsWithoutAFirst",
       [](auto n, auto now) { return later_of(1'000'000 + n, n, now); }},
      {"FirstFragmentsThatNoRuleAllows",
       [](auto n, auto now) { return first_of(1'000'000 + n, 54, n, now); }},
      {"InvalidFragments",
       [](auto n, auto now) { return later_of(1'000'000 + n, n, now, 65528, true); }},
      {"FirstFragmentsThatAreAllowed",
       [](auto n, auto now) { return first_of(1'000'000 + n % 1000, 53, n, now); }, true},
      {"OnePairWithManyIds", [](auto n, auto now) { return later_of(1'000'000, n, now); }},
  };
}

class FragmentFlood : public testing::TestWithParam<Flood> {};

TEST_P(FragmentFlood, LeavesDatagramsOfLiveFlowsAlone) {
  constexpr std::uint32_t kClients = 200, kFloodPerClient = 500;
  Gate gate(1024);
  TimeNs now = 1000 * kMs;
  for (std::uint32_t c = 0; c < kClients; ++c) {
    ASSERT_TRUE(gate.judge(whole_of(c, Side::outside, now)).passes());
    ASSERT_TRUE(gate.judge(whole_of(c, Side::inside, now)).passes());
  }
  // 5 M packets a second; each client has a datagram under way, its pieces 1 ms apart or so.
  std::uint32_t sent = 0;
  for (std::uint32_t c = 0; c < kClients; ++c) {
    EXPECT_TRUE(gate.judge(first_of(c, 53, 7, now)).passes()) << c;
    for (std::uint32_t i = 0; i < kFloodPerClient; ++i) gate.judge(GetParam().packet(sent++, now));
    now += kMs / 10;
    if (c < 10) continue;
    EXPECT_TRUE(gate.judge(later_of(c - 10, 7, now)).passes()) << c - 10;
  }
  // Whole packets of the flows go on.
  for (std::uint32_t c = 0; c < kClients; ++c)
    EXPECT_EQ(gate.judge(whole_of(c, Side::inside, now)).flow, FlowKind::established);
  EXPECT_LE(gate.held(), FragmentTracker::kHeldFramesMax);
  gate.finish();
}

TEST_P(FragmentFlood, LeavesTimeToThoseThatAreOnlyReordered) {
  constexpr std::uint32_t kClients = 100;
  Gate gate(8192);
  TimeNs now = 1000 * kMs;
  std::uint32_t sent = 0, passed = 0;
  for (std::uint32_t c = 0; c < kClients; ++c) {
    const std::size_t number = gate.next();
    (void)gate.judge(later_of(c, 7, now));
    for (std::uint32_t i = 0; i < 100; ++i) gate.judge(GetParam().packet(sent++, now));
    (void)gate.judge(first_of(c, 53, 7, now));
    passed += gate.verdict(number).passes();
    now += kMs / 50;
  }
  EXPECT_EQ(passed, kClients);
  gate.finish();
}

INSTANTIATE_TEST_SUITE_P(Kinds, FragmentFlood, testing::ValuesIn(floods()),
                         [](const auto& flood) { return std::string(flood.param.name); });

// A sender with a live flow of his own ranks as high as anybody: he pushes out himself.
TEST(Fragments, APairThatFloodsPushesOutItsOwnDatagrams) {
  constexpr std::uint32_t kClients = 100;
  Gate gate(1024);
  const TimeNs now = 1000 * kMs;
  for (std::uint32_t c = 0; c <= kClients; ++c) {
    gate.judge(whole_of(c, Side::outside, now));
    gate.judge(whole_of(c, Side::inside, now));
  }
  for (std::uint32_t c = 1; c <= kClients; ++c)
    ASSERT_TRUE(gate.judge(first_of(c, 53, 7, now)).passes());
  for (std::uint32_t id = 0; id < 50'000; ++id)
    ASSERT_TRUE(gate.judge(first_of(0, 53, id, now)).passes());
  std::uint32_t passed = 0;
  for (std::uint32_t c = 1; c <= kClients; ++c) passed += gate.judge(later_of(c, 7, now)).passes();
  EXPECT_GE(passed, kClients * 95 / 100);
}

}  // namespace
}  // namespace sluice::dataplane
