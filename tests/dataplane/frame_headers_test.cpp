// SPDX-License-Identifier: Apache-2.0
#include "dataplane/frame_headers.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "tests/packet_builder.h"

namespace sluice::dataplane {
namespace {

using tests::PacketBuilder;

// On a heap buffer of just that size, so that a read past it is seen.
FrameHeaders read_exactly(const tests::Bytes& bytes, std::size_t size) {
  const auto exact = std::make_unique<std::uint8_t[]>(size);
  std::copy_n(bytes.begin(), size, exact.get());
  return read_headers({exact.get(), size});
}

TEST(FrameHeaders, ReadAsPeopleSpeak) {
  struct Case {
    tests::Bytes frame;
    const char* text;
  };
  const Case kCases[] = {
      {PacketBuilder("10.1.0.1", "10.0.0.10").tcp(4000, 80, 2).frame(),
       "TCP 10.1.0.1:4000 > 10.0.0.10:80 SYN"},
      {PacketBuilder("10.1.0.1", "10.0.0.10").tcp(4000, 80, 0x12).vlan(42).frame(),
       "TCP 10.1.0.1:4000 > 10.0.0.10:80 SYN,ACK vlan 42"},
      {PacketBuilder("2001:db8::1", "fd00::10").udp(5, 53).frame(),
       "UDP [2001:db8::1]:5 > [fd00::10]:53"},
      {PacketBuilder("10.1.0.1", "10.0.0.10").icmp(8, 0, 1).frame(),
       "ICMP 10.1.0.1 > 10.0.0.10 type 8 code 0"},
      {PacketBuilder("10.1.0.1", "10.0.0.10").protocol(47, {0, 0}).frame(),
       "GRE 10.1.0.1 > 10.0.0.10"},
      {PacketBuilder("10.1.0.1", "10.0.0.10")
           .udp(5, 53)
           .payload_of_fragment(tests::Bytes(16))
           .fragment(16, true)
           .frame(),
       "UDP 10.1.0.1 > 10.0.0.10 fragment at 16"},
      {tests::Bytes(60, 0), "frame type 0x0000"},
      {{}, "frame type 0x0000"},
  };
  for (const Case& c : kCases) EXPECT_EQ(describe(read_headers(c.frame)), c.text);
}

TEST(FrameHeaders, EndWhereTheBytesDo) {
  std::mt19937_64 random(7);
  const std::vector<tests::Bytes> frames{
      PacketBuilder("10.1.0.1", "10.0.0.10").tcp(4000, 80, 2).ipv4_options().frame(),
      PacketBuilder("2001:db8::1", "fd00::10")
          .extension(0, tests::Bytes(6))
          .extension(60, tests::Bytes(14))
          .fragment(0, true)
          .udp(5, 53)
          .frame(),
      PacketBuilder("2001:db8::1", "fd00::10").icmp(128, 0, 1).vlan(3).vlan(4).frame()};
  for (const tests::Bytes& frame : frames) {
    for (std::size_t size = 0; size <= frame.size(); ++size) {
      (void)describe(read_exactly(frame, size));
      for (int i = 0; i < 200 && size > 0; ++i) {
        tests::Bytes wrong = frame;
        for (int flips = 0; flips < 3; ++flips)
          wrong[random() % size] = static_cast<std::uint8_t>(random());
        EXPECT_LT(describe(read_exactly(wrong, size)).size(), 400u);
      }
    }
  }
}

}  // namespace
}  // namespace sluice::dataplane
