// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "dataplane/tcp_state.h"

namespace sluice::dataplane {
namespace {

using enum TcpState;
using enum TcpAction;
constexpr std::uint8_t F = kTcpFin, S = kTcpSyn, R = kTcpRst, A = kTcpAck;

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
      {"ACK before the SYN-ACK", syn_sent, true, A, syn_sent, drop},
      {"the answer", syn_sent, false, S | A, syn_received, pass},
      {"simultaneous open", syn_sent, false, S, syn_sent, drop},
      {"an answer that is none", syn_sent, false, A, syn_sent, drop},
      {"refused", syn_sent, false, R | A, reset, pass},
      {"SYN-ACK again", syn_received, false, S | A, syn_received, pass},
      {"data before the opener's ACK", syn_received, false, A, syn_received, drop},
      {"established", syn_received, true, A, established, pass},
      {"SYN once more", syn_received, true, S, syn_received, pass},
      {"opener's SYN-ACK", syn_received, true, S | A, syn_received, drop},
      {"data", established, false, A, established, pass},
      {"no flags of a conversation", established, true, kTcpPsh, established, drop},
      {"SYN into a connection", established, true, S, established, drop},
      {"SYN-ACK whose ACK was lost", established, false, S | A, established, pass},
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
    const TcpStep step = tcp_step(c.state, c.from_opener, c.flags);
    EXPECT_EQ(step.next, c.next) << c.description;
    EXPECT_EQ(step.action, c.action) << c.description;
  }
}

TEST(TcpState, NeverBecomesEstablishedButByTheOpenersAckOfASynAck) {
  for (int state = 0; state <= static_cast<int>(reset); ++state) {
    for (int flags = 0; flags < 64; ++flags) {
      for (bool from_opener : {false, true}) {
        const auto before = static_cast<TcpState>(state);
        const TcpStep step = tcp_step(before, from_opener, static_cast<std::uint8_t>(flags));
        if (before == established || step.next != established) continue;
        EXPECT_TRUE(before == syn_received && from_opener && (flags & A) && !(flags & S));
      }
    }
  }
}

TEST(TcpState, ChangesNothingWhenItDrops) {
  for (int state = 0; state <= static_cast<int>(reset); ++state)
    for (int flags = 0; flags < 64; ++flags)
      for (bool from_opener : {false, true}) {
        const auto before = static_cast<TcpState>(state);
        const TcpStep step = tcp_step(before, from_opener, static_cast<std::uint8_t>(flags));
        if (step.action == drop) {
          EXPECT_EQ(step.next, before);
        }
      }
}

}  // namespace
}  // namespace sluice::dataplane
