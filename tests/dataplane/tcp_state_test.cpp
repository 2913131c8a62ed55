// SPDX-License-Identifier: Apache-2.0
#include "dataplane/tcp_state.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace sluice::dataplane {
namespace {

using enum TcpState;
using enum TcpAction;
constexpr std::uint8_t F = kTcpFin, S = kTcpSyn, R = kTcpRst, A = kTcpAck;

TcpConnection tcp_opened(const TcpSegment& syn) {
  TcpConnection connection;
  tcp_open(syn, connection.sides);
  return connection;
}

// The opener's next number is 101, the other side's 201, both windows are 1,000.
TcpConnection connection_in(TcpState state) {
  if (state == syn_sent) return tcp_opened({.seq = 100, .window = 1000, .flags = S});
  TcpConnection connection{state, {{{101, 101, 1000, 0, 0}, {201, 201, 1000, 0, 0}}}};
  if (state == syn_received) connection.sides[1].acked = 200;
  if (state == syn_crossed) {
    connection.sides[0] = {101, 100, 1000, kNoScale, 0};
    connection.sides[1] = {201, 200, 1000, kNoScale, 0};
  }
  return connection;
}

// With the numbers that fit; a SYN's own number is one less.
TcpSegment right_segment(bool from_opener, std::uint8_t flags) {
  TcpSegment segment{.window = 1000, .flags = flags};
  segment.seq = (from_opener ? 101u : 201u) - ((flags & S) ? 1 : 0);
  segment.ack = from_opener ? 201 : 101;
  return segment;
}

TcpStep step_of(TcpState state, bool from_opener, std::uint8_t flags,
                TcpView view = TcpView::whole) {
  return tcp_step(connection_in(state), from_opener, right_segment(from_opener, flags), view);
}

struct Case {
  const char* description;
  TcpState state;
  bool from_opener;
  std::uint8_t flags;
  TcpState next;
  TcpAction action;
};

TEST(TcpState, StepsAsTheTableSays) {
  const Case kCases[] = {
      {"SYN again", syn_sent, true, S, syn_sent, pass},
      {"ACK before the SYN-ACK", syn_sent, true, A, syn_sent, drop_state},
      {"the answer", syn_sent, false, S | A, syn_received, pass},
      {"SYNs cross", syn_sent, false, S, syn_crossed, pass},
      {"an answer that is none", syn_sent, false, A, syn_sent, drop_state},
      {"refused", syn_sent, false, R | A, reset, pass},
      {"a refusal that names no SYN", syn_sent, false, R, syn_sent, drop_window},
      {"the opener gives up", syn_sent, true, R, reset, pass},
      {"crossed, SYN again", syn_crossed, true, S, syn_crossed, pass},
      {"crossed, SYN again of the other", syn_crossed, false, S, syn_crossed, pass},
      {"crossed, SYN-ACK of the opener", syn_crossed, true, S | A, syn_crossed, pass},
      {"crossed, SYN-ACK of the other", syn_crossed, false, S | A, syn_received, pass},
      {"crossed, no SYN-ACK yet", syn_crossed, true, A, syn_crossed, drop_state},
      {"SYN-ACK again", syn_received, false, S | A, syn_received, pass_aside},
      {"data before the opener's ACK", syn_received, false, A, syn_received, drop_state},
      {"established", syn_received, true, A, established, pass},
      {"ACK and FIN at once", syn_received, true, F | A, fin_opener, pass},
      {"SYN once more", syn_received, true, S, syn_received, pass},
      {"data", established, false, A, established, pass},
      {"no flags of a conversation", established, true, kTcpPsh, established, drop_state},
      {"the opener begins again", established, true, S, established, pass_aside},
      {"the other side begins", established, false, S, established, drop_state},
      {"SYN-ACK whose ACK was lost", established, false, S | A, established, pass_aside},
      {"SYN-ACK of the opener", established, true, S | A, established, drop_state},
      {"FIN of the opener", established, true, F | A, fin_opener, pass},
      {"FIN of the other", established, false, F | A, fin_other, pass},
      {"both FINs", fin_opener, false, F | A, closing, pass},
      {"both FINs, other way round", fin_other, true, F | A, closing, pass},
      {"FIN again", fin_opener, true, F | A, fin_opener, pass},
      {"last ACK", closing, true, A, closing, pass},
      {"FIN again when closing", closing, false, F | A, closing, pass},
      {"RST", established, false, R, reset, pass},
      {"new SYN after RST", reset, true, S, reset, reopen},
      {"new SYN of the other side", closing, false, S, closing, reopen},
      {"new SYN after one FIN", fin_opener, true, S, fin_opener, reopen},
      {"late data after RST", reset, true, A, reset, pass},
  };
  for (const Case& c : kCases) {
    const TcpStep step = step_of(c.state, c.from_opener, c.flags);
    EXPECT_EQ(step.next.state, c.next) << c.description;
    EXPECT_EQ(step.action, c.action) << c.description;
  }
}

void for_all(auto check) {
  for (int state = 0; state < static_cast<int>(kTcpStates); ++state)
    for (int flags = 0; flags < 64; ++flags)
      for (bool from_opener : {false, true})
        check(static_cast<TcpState>(state), from_opener, static_cast<std::uint8_t>(flags));
}

TEST(TcpState, NeverBecomesEstablishedButByTheOpenersAckOfASynAck) {
  for_all([](TcpState before, bool from_opener, std::uint8_t flags) {
    const TcpStep step = step_of(before, from_opener, flags);
    if (before == established || step.next.state != established) return;
    EXPECT_TRUE(before == syn_received && from_opener && (flags & A) && !(flags & S));
  });
}

TEST(TcpState, ChangesNothingUnlessItPasses) {
  for_all([](TcpState before, bool from_opener, std::uint8_t flags) {
    for (std::uint32_t shift : {0u, 50'000u, ~0u}) {
      TcpSegment segment = right_segment(from_opener, flags);
      segment.seq += shift;
      const TcpConnection connection = connection_in(before);
      const TcpStep step = tcp_step(connection, from_opener, segment, TcpView::whole);
      if (step.action == pass) continue;
      EXPECT_EQ(step.next.state, before);
      for (std::size_t side : {0u, 1u}) {
        EXPECT_EQ(step.next.sides[side].end, connection.sides[side].end);
        EXPECT_EQ(step.next.sides[side].acked, connection.sides[side].acked);
      }
    }
  });
}

TEST(TcpState, DropsWhatLiesOutsideTheWindow) {
  struct Place {
    const char* description;
    std::uint8_t flags;
    std::int32_t seq_plus;
    std::uint32_t length;
    std::int32_t ack_plus;
    bool passes;
  };
  const Place kPlaces[] = {
      {"data at the left edge", A, 0, 1, 0, true},
      {"data up to the right edge", A, 0, 1000, 0, true},
      {"a probe of the closed window", A, 1000, 1, 0, true},
      {"data beyond", A, 1000, 2, 0, false},
      {"a keepalive", A, -1, 0, 0, true},
      {"a repetition of what was acknowledged", A, -1000, 1000, 0, true},
      {"data from long ago", A, -2000, 999, 0, false},
      {"acknowledges what was never sent", A, 0, 0, 1, false},
      {"acknowledges what is long past", A, 0, 0, -70'000, false},
      {"a late acknowledgement", A, 0, 0, -60'000, true},
      {"RST at the left edge", R, 0, 0, 0, true},
      {"RST at the right edge", R, 1000, 0, 0, true},
      {"RST before what is acknowledged", R, -1, 0, 0, false},
      {"RST beyond", R, 1001, 0, 0, false},
      {"RST far away", R, 1 << 30, 0, 0, false},
      {"FIN in the window", F | A, 999, 0, 0, true},
      {"FIN after a full window", F | A, 1000, 0, 0, true},
      {"FIN beyond", F | A, 1001, 0, 0, false},
      {"FIN from long ago", F | A, -2000, 0, 0, false},
  };
  for (const Place& place : kPlaces) {
    for (bool from_opener : {false, true}) {
      TcpSegment segment = right_segment(from_opener, place.flags);
      segment.seq += static_cast<std::uint32_t>(place.seq_plus);
      segment.ack += static_cast<std::uint32_t>(place.ack_plus);
      segment.length = place.length;
      const TcpStep step =
          tcp_step(connection_in(established), from_opener, segment, TcpView::whole);
      EXPECT_EQ(step.action, place.passes ? pass : drop_window) << place.description;
    }
  }
}

// The short way takes nothing that the long way would not, and leaves the same behind.
TEST(TcpState, TakesDataTheShortWayAsTheLongWayDoes) {
  const auto seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  int taken = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    TcpConnection connection = connection_in(static_cast<TcpState>(random() % kTcpStates));
    for (TcpSide& side : connection.sides) {
      side.window = static_cast<std::uint16_t>(random());
      side.scale = static_cast<std::uint8_t>(random() % 15);
    }
    const bool from_opener = random() % 2;
    TcpSegment segment = right_segment(from_opener, random() % 4 ? A : random() % 64);
    segment.seq += random() % 3 ? 0 : random() % 200'000 - 100'000;
    segment.ack += random() % 3 ? 0 : random() % 200'000 - 100'000;
    segment.length = random() % 3 ? 0 : random() % 3000;
    segment.window = static_cast<std::uint16_t>(random());
    const TcpStep step = tcp_step(connection, from_opener, segment, TcpView::whole);
    TcpConnection changed = connection;
    if (changed.state < TcpState::established ||
        !tcp_take_data(changed.sides[from_opener ? 0 : 1], changed.sides[from_opener ? 1 : 0],
                       segment))
      continue;
    ++taken;
    ASSERT_EQ(step.action, pass) << "seed " << seed << " step " << i;
    ASSERT_EQ(step.next.state, connection.state);
    for (std::size_t side : {0u, 1u}) {
      ASSERT_EQ(step.next.sides[side].end, changed.sides[side].end);
      ASSERT_EQ(step.next.sides[side].acked, changed.sides[side].acked);
      ASSERT_EQ(step.next.sides[side].window, changed.sides[side].window);
    }
  }
  EXPECT_GT(taken, 50'000);
}

TEST(TcpState, AdoptsWithTheLargestWindows) {
  const TcpSegment data{.seq = 5000, .ack = 9000, .length = 100, .window = 10, .flags = A};
  const TcpConnection connection = tcp_adopted(data, true);
  EXPECT_EQ(connection.state, established);
  // What the other side had sent before we came, and what the opener repeats.
  EXPECT_EQ(tcp_step(connection, false, {.seq = 100'000, .ack = 5100, .length = 500, .flags = A},
                     TcpView::whole)
                .action,
            pass);
  EXPECT_EQ(tcp_step(connection, true, {.seq = 4000, .ack = 200'000, .length = 500, .flags = A},
                     TcpView::whole)
                .action,
            pass);
  EXPECT_EQ(tcp_adopted({.flags = F | A}, true).state, fin_opener);
  EXPECT_EQ(tcp_adopted({.flags = F | A}, false).state, fin_other);
}

// tracking = rules_first: of the opener only SYN, FIN and RST come by.
TEST(TcpState, DoesWithOneSideWhereTheOtherIsNotSeen) {
  const auto other_side = TcpView::other_side;
  EXPECT_EQ(step_of(syn_received, false, A).action, drop_state);
  TcpStep step = step_of(syn_received, false, A, other_side);
  EXPECT_EQ(step.next.state, established);
  // A megabyte each way, the opener's half unseen.
  TcpConnection connection = step.next;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    step = tcp_step(connection, false,
                    {.seq = 201 + i * 1000, .ack = 101 + i * 1000, .length = 1000, .flags = A},
                    other_side);
    ASSERT_EQ(step.action, pass) << i;
    connection = step.next;
  }
  // Its numbers are known from the other side's acknowledgements.
  const std::uint32_t opener = 101 + 999 * 1000, other = 201 + 1000 * 1000;
  EXPECT_EQ(tcp_step(connection, true, {.seq = opener - 1, .flags = R}, other_side).action,
            drop_window);
  EXPECT_EQ(tcp_step(connection, false, {.seq = other - 1, .flags = R}, other_side).action,
            drop_window);
  EXPECT_EQ(
      tcp_step(connection, true, {.seq = opener, .ack = other, .flags = F | A}, other_side).action,
      pass);
}

// Two hosts that talk as RFC 9293 has it: whatever is lost behind the gate, or repeated, nothing
// that they send is ever outside the window.
struct Host {
  std::uint32_t next, sent_acked, received;  // SND.NXT, SND.UNA, RCV.NXT
  std::uint32_t peer_edge;                   // right edge of what the peer allows
  std::uint32_t room;                        // receive buffer that is free now
};

TEST(TcpState, LetsTwoHostsTalk) {
  const auto seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 300; ++round) {
    const auto scale = static_cast<std::uint8_t>(random() % 9);
    const std::uint32_t room = std::min<std::uint32_t>(65535u << scale, 1000 + random() % 2000000);
    const std::uint32_t isn[2] = {static_cast<std::uint32_t>(random()),
                                  static_cast<std::uint32_t>(random())};
    const auto window = [&](std::uint32_t bytes) {
      return static_cast<std::uint16_t>(std::min(bytes >> scale, 65535u));
    };
    const auto syn_window = static_cast<std::uint16_t>(std::min(room, 65535u));
    TcpConnection gate =
        tcp_opened({.seq = isn[0], .window = syn_window, .flags = S, .scale = scale});
    Host hosts[2];
    for (int i : {0, 1})
      hosts[i] = {isn[i] + 1, isn[i] + 1, isn[1 - i] + 1, isn[i] + 1 + syn_window, room};
    const auto send = [&](int from, TcpSegment segment) {
      const TcpStep step = tcp_step(gate, from == 0, segment, TcpView::whole);
      ASSERT_TRUE(step.action == pass || step.action == pass_aside)
          << "seed " << seed << " round " << round;
      gate = step.next;
    };
    send(1,
         {.seq = isn[1], .ack = isn[0] + 1, .window = syn_window, .flags = S | A, .scale = scale});
    send(0, {.seq = isn[0] + 1, .ack = isn[1] + 1, .window = window(room), .flags = A});
    hosts[1].peer_edge = isn[1] + 1 + (std::uint32_t{window(room)} << scale);
    for (int turn = 0; turn < 400; ++turn) {
      const int from = static_cast<int>(random() % 2);
      Host &me = hosts[from], &peer = hosts[1 - from];
      const std::uint32_t allowed = me.peer_edge - me.next;
      TcpSegment segment{.ack = me.received, .window = window(me.room), .flags = A};
      const auto kind = random() % 8;
      if (kind == 0 && me.next != me.sent_acked) {  // repeats what is not acknowledged
        segment.seq = me.sent_acked;
        segment.length = std::min(me.next - me.sent_acked, 1460u);
      } else if (kind == 1) {  // keepalive
        segment.seq = me.next - 1;
      } else {
        segment.seq = me.next;
        segment.length = static_cast<std::int32_t>(allowed) > 0
                             ? std::min<std::uint32_t>(allowed, random() % 20'000)
                             : 0;
        me.next += segment.length;
      }
      send(from, segment);
      if (HasFatalFailure()) return;
      if (random() % 5 == 0) continue;  // lost behind the gate
      const bool in_order = static_cast<std::int32_t>(peer.received - segment.seq) >= 0;
      const std::uint32_t end = segment.seq + segment.length;
      if (in_order && static_cast<std::int32_t>(end - peer.received) > 0) {
        peer.room -= std::min(peer.room, end - peer.received);
        peer.received = end;
      }
      if (random() % 4 == 0) peer.room = room;  // the program reads
      if (static_cast<std::int32_t>(segment.ack - peer.sent_acked) >= 0) {
        peer.sent_acked = segment.ack;
        peer.peer_edge = segment.ack + (std::uint32_t{segment.window} << scale);
      }
    }
    const int from = static_cast<int>(random() % 2);
    send(from, {.seq = hosts[from].next, .ack = hosts[from].received, .flags = F | A});
  }
}

}  // namespace
}  // namespace sluice::dataplane
