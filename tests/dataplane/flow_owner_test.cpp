// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow_owner.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "tests/packet_builder.h"

namespace sluice::dataplane {
namespace {

using rules::Address;
using tests::Bytes;
using tests::PacketBuilder;

constexpr unsigned kNobody = 99;  // what frames of no flow answer here

std::vector<FlowOwner> owners(unsigned workers) {
  return {FlowOwner(workers, HashSecret{1, 2}), FlowOwner(workers, SymmetricRss{0x9a31, 128}),
          FlowOwner(workers, SymmetricRss{0x6d5a, 512})};
}

unsigned owner_of(const FlowOwner& owner, const Bytes& frame, Side side) {
  static const std::vector<std::uint16_t> zones(kVlans, 0);
  return owner.of({frame.data(), static_cast<std::uint32_t>(frame.size())}, {side, zones.data()},
                  kNobody);
}

struct Hosts {
  std::string lb, remote;
};

Hosts random_hosts(std::mt19937_64& random) {
  if (random() % 2 == 0) {
    return {to_string(Address::ipv4(0x0a000000 | (random() & 0xffff))),
            to_string(Address::ipv4(0xc0000000 | (random() & 0xffffff)))};
  }
  return {to_string(Address::ipv6(0xfd00ull << 48 | (random() & 0xffff), random())),
          to_string(Address::ipv6(0x20010db8ull << 32 | (random() & 0xffffffff), random()))};
}

// One frame of the flows between the two hosts, by its number.
constexpr int kFrames = 14;
std::pair<Side, Bytes> frame_between(const Hosts& hosts, int number) {
  const auto& [lb, remote] = hosts;
  const bool v6 = lb.find(':') != std::string::npos;
  const PacketBuilder in(remote, lb), out(lb, remote);
  const auto changed = [](PacketBuilder packet, auto change) {
    change(packet);
    return packet.frame();
  };
  switch (number) {
    case 0:
      return {Side::outside, changed(in, [](auto& p) { p.tcp(1000, 80, 2); })};
    case 1:
      return {Side::inside, changed(out, [](auto& p) { p.tcp(80, 1000, 0x12); })};
    case 2:
      return {Side::inside, changed(out, [](auto& p) { p.udp(5000, 53).vlan(7); })};
    case 3:
      return {Side::outside, changed(in, [](auto& p) { p.sctp(1, 2).vlan(7); })};
    case 4:
      return {Side::outside, changed(in, [](auto& p) { p.protocol(47, Bytes(20)); })};
    case 5:
      return {Side::outside, changed(in, [&](auto& p) { p.icmp(v6 ? 128 : 8, 0, 77); })};
    case 6:
      return {Side::inside, changed(out, [&](auto& p) { p.icmp(v6 ? 129 : 0, 0, 77); })};
    case 7:
      return {Side::outside, changed(in, [](auto& p) { p.udp(1, 53, 24).fragment(0, true); })};
    case 8:
      return {Side::outside, changed(in, [](auto& p) {
                p.udp(1, 53).fragment(32, false).payload_of_fragment(Bytes(40));
              })};
    case 9:
      return {Side::inside, changed(out, [](auto& p) {
                p.udp(1, 53).fragment(64, true).payload_of_fragment(Bytes(40)).vlan(9);
              })};
    case 10:
      return {Side::outside, changed(in, [&](auto& p) {
                if (v6) {
                  p.extension(60, Bytes(6));
                } else {
                  p.ipv4_options();
                }
                p.tcp(1000, 80, 0x10);
              })};
    case 11:  // of a router on the way, about what the LB sent
      return {Side::outside,
              PacketBuilder(v6 ? "2001:db8:ffff::1" : "198.51.100.1", lb)
                  .icmp_error(v6 ? 2 : 3, v6 ? 0 : 4, PacketBuilder(out).tcp(80, 1000, 0x10).ip())
                  .frame()};
    case 12:  // of the remote host itself
      return {
          Side::outside,
          PacketBuilder(in).icmp_error(v6 ? 1 : 3, 3, PacketBuilder(out).udp(9, 9).ip()).frame()};
    default:  // of the LB, about what came in
      return {
          Side::inside,
          PacketBuilder(out).icmp_error(v6 ? 1 : 3, 3, PacketBuilder(in).udp(9, 9).ip()).frame()};
  }
}

TEST(FlowOwner, IsOneForAllFramesOfTwoHosts) {
  std::mt19937_64 random(3);
  for (const unsigned workers : {2u, 3u, 7u}) {
    for (const FlowOwner& owner : owners(workers)) {
      for (int round = 0; round < 200; ++round) {
        const Hosts hosts = random_hosts(random);
        const auto [first_side, first] = frame_between(hosts, 0);
        const unsigned expected = owner_of(owner, first, first_side);
        ASSERT_LT(expected, workers);
        for (int number = 1; number < kFrames; ++number) {
          const auto [side, frame] = frame_between(hosts, number);
          EXPECT_EQ(owner_of(owner, frame, side), expected)
              << "frame " << number << " of " << hosts.lb << " and " << hosts.remote;
        }
      }
    }
  }
}

TEST(FlowOwner, LeavesFramesOfNoFlowWhereTheyAre) {
  const Bytes neighbour = PacketBuilder("fe80::1", "ff02::1:ff00:1")
                              .hop_limit(255)
                              .protocol(58, Bytes(24, 135))
                              .frame();
  for (const FlowOwner& owner : owners(4)) {
    EXPECT_EQ(owner_of(owner, tests::arp_frame(1, "10.0.0.1", "10.0.0.2"), Side::outside), kNobody);
    EXPECT_EQ(owner_of(owner, neighbour, Side::outside), kNobody);
    EXPECT_EQ(owner_of(owner, Bytes(60, 0), Side::outside), kNobody);
    EXPECT_EQ(owner_of(owner, {}, Side::outside), kNobody);
  }
  EXPECT_EQ(owner_of(FlowOwner(1, HashSecret{}), {}, Side::outside), 0u);
}

TEST(FlowOwner, SpreadsHostsEvenly) {
  std::mt19937_64 random(4);
  constexpr unsigned kWorkers = 4, kPairs = 8000;
  for (const FlowOwner& owner : owners(kWorkers)) {
    std::array<unsigned, kWorkers> counts{};
    for (unsigned i = 0; i < kPairs; ++i) {
      const auto [side, frame] = frame_between(random_hosts(random), 0);
      ++counts.at(owner_of(owner, frame, side));
    }
    for (const unsigned count : counts) EXPECT_NEAR(count, kPairs / kWorkers, kPairs / 25);
  }
}

// The secret decides, so that nobody outside can choose.
TEST(FlowOwner, DependsOnItsSecret) {
  std::mt19937_64 random(5);
  const FlowOwner one(16, HashSecret{1, 2}), other(16, HashSecret{3, 4});
  unsigned equal = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto [side, frame] = frame_between(random_hosts(random), 0);
    equal += owner_of(one, frame, side) == owner_of(other, frame, side);
  }
  EXPECT_LT(equal, 150u);
}

// Every cut of every kind of frame: nothing is read past its end (ASan watches).
TEST(FlowOwner, ReadsNothingPastTheEnd) {
  static const std::vector<std::uint16_t> zones(kVlans, 0);
  for (const FlowOwner& owner : owners(3)) {
    for (const Hosts& hosts : {Hosts{"10.0.0.1", "10.1.0.1"}, Hosts{"fd00::1", "2001:db8::1"}}) {
      for (int number = 0; number < kFrames; ++number) {
        const auto [side, frame] = frame_between(hosts, number);
        for (std::size_t size = 0; size <= frame.size(); ++size) {
          const std::unique_ptr<std::uint8_t[]> exact(new std::uint8_t[size]);
          std::copy_n(frame.begin(), size, exact.get());
          const unsigned owned = owner.of({exact.get(), static_cast<std::uint32_t>(size)},
                                          {side, zones.data()}, kNobody);
          EXPECT_TRUE(owned < 3 || owned == kNobody);
        }
      }
    }
  }
}

TEST(SymmetricRss, NamesOneQueueForTablesOfEverySize) {
  const SymmetricRss rss{0x6d5a, 64};
  for (const unsigned queues : {1u, 2u, 3u, 5u})
    for (std::size_t index = 0; index < 2048; ++index) {
      EXPECT_LT(rss.queue_of_entry(index, queues), queues);
      EXPECT_EQ(rss.queue_of_entry(index, queues), rss.queue_of_entry(index % 64, queues));
    }
}

}  // namespace
}  // namespace sluice::dataplane
