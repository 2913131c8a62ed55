// SPDX-License-Identifier: Apache-2.0
//
// Most packets: data of established TCP connections about which nothing is in question. A burst's
// view of the flow table for them, small enough to stay in registers.
//
// Owner: one worker; valid until the clock or the table in force changes.
// Cost:  the flow's cache line.
#pragma once

#include <cstdint>

#include "dataplane/flow_review.h"
#include "dataplane/flow_table.h"
#include "dataplane/tcp_state.h"

namespace sluice::dataplane {

class SettledFlows {
 public:
  SettledFlows(FlowTable::View table, std::uint32_t generation) noexcept
      : table_(table), generation_(generation) {}

  // The flow in `cell`, as prefetch_flow named it, if it is that of the key. Null: perhaps
  // elsewhere.
  [[nodiscard]] Flow* find(FlowIndex cell, const Ipv4FlowWords& key) const noexcept {
    if (cell == FlowTable::kNoCell) return nullptr;
    Flow* flow = table_.cells + cell;
    const bool is_it = flow->addresses == key.addresses && flow->identity == key.identity;
    return is_it ? flow : nullptr;
  }

  // Is it seen both ways, its time not over, and was it simply allowed since the table took the
  // last away from its LB?
  [[nodiscard]] bool has(const Flow& flow, const rules::LbMatch& lb) const noexcept {
    constexpr std::uint8_t kMust = kFlowLive | kFlowReplied;
    constexpr std::uint8_t kQuestions = kFlowMarks | kFlowEnded | kFlowRuleStale;
    return (flow.flags & (kMust | kQuestions)) == kMust &&
           rules::is_since(flow.generation, lb.narrowed, generation_) && !is_over(flow);
  }
  // Of a flow that is settled, or may go on though it is not: true, it fits, and the flow has taken
  // it in. False: somebody must look closer; nothing was changed.
  template <Tracking kTracking>
  [[nodiscard]] bool take(Flow& flow, const TcpSegment& segment,
                          rules::Direction direction) const noexcept {
    const std::size_t sender = sender_of(flow, direction);
    if constexpr (kTracking == Tracking::strict) {
      if (!tcp_take_data(flow.sides[sender], flow.sides[sender ^ 1u], segment)) return false;
      flow.seen_s = table_.now_s;  // the line is written anyway
    } else {
      if (!follow(flow, segment, sender == 0)) return false;
      if (flow.seen_s != table_.now_s) flow.seen_s = table_.now_s;
    }
    return true;
  }

 private:
  // Which of flow.sides: [0] is the opener.
  [[nodiscard]] static std::size_t sender_of(const Flow& flow,
                                             rules::Direction direction) noexcept {
    static_assert(static_cast<int>(rules::Direction::inbound) == 0 && kFlowOutbound == 2);
    return ((flow.flags >> 1) & 1u) ^ static_cast<std::size_t>(direction);
  }
  // As FlowTable::is_over; of most flows the packet before came in the same second.
  [[nodiscard]] bool is_over(const Flow& flow) const noexcept {
    return flow.seen_s != table_.now_s &&
           table_.now_s - flow.seen_s > table_.timeouts_s[static_cast<std::size_t>(flow.state)];
  }
  // Where windows were not seen whole.
  [[nodiscard]] static bool follow(Flow& flow, TcpSegment segment, bool from_opener) noexcept {
    constexpr std::uint8_t kEdges = kTcpSyn | kTcpFin | kTcpRst | kTcpAck;
    auto state = static_cast<TcpState>(flow.state);
    if (state < TcpState::established || (segment.flags & kEdges) != kTcpAck) return false;
    return tcp_advance(state, flow.sides, from_opener, segment, TcpView::other_side) ==
           TcpAction::pass;
  }

  FlowTable::View table_;
  std::uint32_t generation_;
};

}  // namespace sluice::dataplane
