// SPDX-License-Identifier: Apache-2.0
//
// What the reader of plain packets says, against the whole parser, and its two forms against each
// other.
#include "dataplane/plain_tcp.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <random>

#include "dataplane/checksum.h"
#include "tests/packet_builder.h"

namespace sluice::dataplane {
namespace {

using rules::Address;
using tests::Bytes;
using tests::PacketBuilder;

constexpr std::uint16_t kTag = 7;

Bytes random_plain(std::mt19937_64& random) {
  const auto address = [&] {
    return Address::ipv4(
        static_cast<std::uint32_t>(random() % 4 == 0 ? random() : 0x0a000000 + random() % 4));
  };
  constexpr std::uint8_t kFlags[] = {
      kTcpAck, kTcpAck | kTcpPsh, kTcpAck | kTcpUrg, kTcpAck | kTcpFin,
      kTcpSyn, kTcpAck | kTcpSyn, kTcpRst,           0};
  PacketBuilder packet(address(), address());
  packet.tcp(static_cast<std::uint16_t>(random()),
             static_cast<std::uint16_t>(random() % 100 ? random() : 0),
             kFlags[random() % 3 ? random() % 3 : random() % std::size(kFlags)]);
  packet.numbers(static_cast<std::uint32_t>(random()), static_cast<std::uint32_t>(random()));
  packet.window(static_cast<std::uint16_t>(random()));
  packet.payload(random() % 4 == 0 ? random() % 1400 : random() % 30);
  if (random() % 8 == 0) packet.ipv4_options();
  if (random() % 8 == 0) packet.fragment(0, true);
  if (random() % 4 == 0)
    packet.vlan(random() % 4 ? kTag : static_cast<std::uint16_t>(random() % 4096));
  if (random() % 16 == 0) packet.vlan(kTag);
  if (random() % 16 == 0) packet.bad_checksum();
  return packet.frame();
}

void mend_checksum(Bytes& frame) {
  const std::size_t at = frame.size() > 18 && frame[12] == 0x81 ? 18 : 14;
  if (frame.size() < at + 20) return;
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < 20; i += 2)
    if (i != 10) sum += static_cast<std::uint32_t>(frame[at + i] << 8 | frame[at + i + 1]);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  frame[at + 10] = static_cast<std::uint8_t>(~sum >> 8);
  frame[at + 11] = static_cast<std::uint8_t>(~sum);
}

Bytes random_frame(std::mt19937_64& random) {
  Bytes frame = random_plain(random);
  for (std::size_t n = random() % 3; n > 0; --n) {
    // Most mutations where the headers are.
    const std::size_t at = random() % std::min<std::size_t>(frame.size(), random() % 4 ? 60 : 2000);
    frame[at] =
        static_cast<std::uint8_t>(random() % 2 ? random() : frame[at] ^ (1u << random() % 8));
  }
  if (random() % 2 == 0) mend_checksum(frame);
  if (random() % 8 == 0) frame.resize(random() % (frame.size() + 1));
  // Of exact size, so that a read past its end is seen.
  frame.shrink_to_fit();
  return frame;
}

void expect_equal(const Packet& a, const Packet& b) {
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.direction, b.direction);
  EXPECT_EQ(a.is_echo_reply, b.is_echo_reply);
  EXPECT_EQ(a.has_embedded_key, b.has_embedded_key);
  EXPECT_EQ(a.protocol, b.protocol);
  EXPECT_EQ(a.service, b.service);
  EXPECT_EQ(a.zone, b.zone);
  EXPECT_EQ(a.fragment.is_one, b.fragment.is_one);
  EXPECT_EQ(a.local, b.local);
  EXPECT_EQ(a.remote, b.remote);
  EXPECT_EQ(a.key, b.key);
  EXPECT_EQ(a.tcp.seq, b.tcp.seq);
  EXPECT_EQ(a.tcp.ack, b.tcp.ack);
  EXPECT_EQ(a.tcp.length, b.tcp.length);
  EXPECT_EQ(a.tcp.window, b.tcp.window);
  EXPECT_EQ(a.tcp.flags, b.tcp.flags);
  EXPECT_EQ(a.tcp.scale, b.tcp.scale);
  EXPECT_EQ(a.transport, b.transport);
  EXPECT_EQ(a.transport_size, b.transport_size);
}

// By the whole parser: TCP in the middle of a connection, without IP options.
bool is_plain(const Packet& packet, const Frame& frame) {
  if (packet.kind != PacketKind::transport || packet.protocol != rules::kProtocolTcp) return false;
  if (packet.key.family != rules::Family::ipv4 || packet.fragment.is_one) return false;
  if ((packet.tcp.flags & (kTcpSyn | kTcpFin | kTcpRst | kTcpAck)) != kTcpAck) return false;
  return frame.bytes[frame.bytes[12] == 0x81 ? 18 : 14] == 0x45;
}

class PlainTcpTest : public testing::TestWithParam<bool> {};

TEST_P(PlainTcpTest, SaysWhatTheWholeParserSays) {
  if (GetParam() && !has_wide_plain_tcp()) GTEST_SKIP() << "no AVX-512 here";
  const auto read = GetParam() ? read_plain_tcp_wide : read_plain_tcp_each;
  const auto seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937_64 random(seed);
  std::array<std::uint16_t, kVlans> zones;
  zones.fill(kNoZone);
  zones[kTag] = 1;
  std::size_t plain_seen = 0, others_seen = 0;
  PlainTcp plain;
  for (int round = 0; round < 4000; ++round) {
    zones[0] = random() % 16 == 0 ? kNoZone : 3;
    const Ingress ingress{random() % 2 ? Side::inside : Side::outside, zones.data()};
    std::vector<Bytes> bytes(random() % (PlainTcp::kPacketsMax + 1));
    std::vector<Frame> frames;
    for (Bytes& frame : bytes) {
      frame = random_frame(random);
      frames.push_back({frame.data(), static_cast<std::uint32_t>(frame.size())});
    }
    const PacketMask set = read(frames, ingress, plain);
    ASSERT_EQ(std::uint64_t{set} >> frames.size(), 0u);
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const Packet whole = parse(frames[i], ingress, {.timeouts = {}});
      const bool is_in_set = (set >> i) & 1u;
      ASSERT_EQ(is_in_set, is_plain(whole, frames[i])) << "seed " << seed << " round " << round;
      ++(is_in_set ? plain_seen : others_seen);
      if (!is_in_set) continue;
      Packet expanded;
      expand(plain, i, frames[i], direction_of(ingress), expanded);
      expect_equal(expanded, whole);
      ASSERT_FALSE(HasFailure()) << "seed " << seed << " round " << round;
    }
  }
  EXPECT_GT(plain_seen, 10'000u);
  EXPECT_GT(others_seen, 10'000u);
}
INSTANTIATE_TEST_SUITE_P(EachAndWide, PlainTcpTest, testing::Bool());

}  // namespace
}  // namespace sluice::dataplane
