// SPDX-License-Identifier: Apache-2.0
//
// What a packet means to its flow, and what it takes to open one (SEMANTICS §4, Flows).
//
// Owner: one worker, within its pipeline.
#pragma once

#include <cstdint>
#include <optional>

#include "dataplane/flow_review.h"
#include "dataplane/flow_table.h"
#include "dataplane/packet.h"
#include "dataplane/settled_flows.h"
#include "dataplane/snapshot.h"

namespace sluice::dataplane {

// What the stages of the pipeline hand on about one packet.
struct Work {
  Packet packet;
  rules::LbMatch lb;
  const Frame* frame = nullptr;
  std::uint64_t hash = 0;               // of packet.key, where it has one
  bool needs_flow = false;              // the flow stage has its say
  FlowIndex cell = FlowTable::kNoCell;  // of its flow, if one was there when the burst began
  std::optional<FlowTable::Host> host;  // of packet.key, where it may open a flow and has none
  // The rules' answer in the packet's own direction, where the burst asked for it.
  enum class Rules : std::uint8_t { unasked, refused, allowed } rules = Rules::unasked;
};

[[nodiscard]] inline rules::PacketKey rules_key(const Packet& packet,
                                                rules::PolicyIndex policy) noexcept {
  return {packet.remote, policy, packet.service, packet.protocol, packet.direction};
}

// What may begin a conversation; everything else needs one that is there.
[[nodiscard]] inline bool may_open(const Packet& packet) noexcept {
  return packet.protocol == rules::kProtocolTcp ? is_tcp_open(packet.tcp.flags)
                                                : !packet.is_echo_reply;
}

// Under tracking = rules_first: does the rules' yes suffice, with no look at a flow?
[[nodiscard]] inline bool passes_by_rules_alone(const Packet& packet) noexcept {
  return packet.protocol == rules::kProtocolTcp && packet.kind == PacketKind::transport &&
         (packet.tcp.flags & (kTcpSyn | kTcpFin | kTcpRst)) == 0;
}

class FlowStage {
 public:
  explicit FlowStage(FlowTable& flows) noexcept : flows_(flows), review_(flows) {}

  // The table and the clock of all that follows, once a burst; then a piece of the work that never
  // ends: expiry, and the review of flows by a new table.
  void begin(const Snapshot& snapshot, TimeNs now, bool is_idle) noexcept;

  void judge(Work& work, Verdict& verdict) noexcept;
  // For data of flows about which nothing is in question, until the end of the burst.
  [[nodiscard]] SettledFlows settled() const noexcept {
    return {flows_.view(), review_.generation()};
  }
  // A flow that settled() may not take for the table alone: after a change. True: it may.
  [[nodiscard]] bool may_go_on(Flow& flow, const rules::LbMatch& lb) noexcept;
  // An ICMP error. True: decided (it is about a live flow, or about one that is no longer allowed).
  [[nodiscard]] bool judge_embedded(Work& work, Verdict& verdict) noexcept;

  // For the fragments behind a first one, with its key: does its flow go on under this table? A
  // flow that may not ends here.
  [[nodiscard]] bool goes_on(const Work& first) noexcept;
  // A TCP segment in fragments of the flow with that key is longer than its first one told: it ends
  // before `end`.
  void note_end(const FlowKey& key, rules::Direction from, std::uint32_t end) noexcept;
  // Has the flow with the packet's key seen both directions?
  [[nodiscard]] bool is_replied(const Work& work) noexcept;

  // Runs the review of the newest table to its end.
  void review_all() noexcept { review_.sweep(flows_.used()); }
  [[nodiscard]] const FateCounts& fates() const noexcept { return review_.counts(); }
  [[nodiscard]] std::uint64_t opened() const noexcept { return opened_; }
  [[nodiscard]] std::uint64_t adopted() const noexcept { return adopted_; }
  [[nodiscard]] std::uint64_t pressed() const noexcept { return pressed_; }

 private:
  [[nodiscard]] bool allows(const Work& work) const noexcept;
  [[nodiscard]] bool has_bad_checksum(const Packet& packet) const noexcept;
  void tidy_up(bool is_idle) noexcept;
  void end_by_change(Flow* flow, const Work& work) noexcept;
  // Each of these: false: the packet is no part of the flow as it stands, but may open a new one.
  [[nodiscard]] bool advance(Flow& flow, const Work& work, Verdict& verdict) noexcept;
  [[nodiscard]] TcpView view_of(const Work& work, bool from_opener) const noexcept;
  [[nodiscard]] bool advance_tcp(Flow& flow, const Work& work, Verdict& verdict) noexcept;
  [[nodiscard]] bool advance_echo(Flow& flow, const Work& work, Verdict& verdict) noexcept;
  void pass_on(Flow& flow, Verdict& verdict) noexcept;
  void open(const Work& work, Flow* previous, Verdict& verdict) noexcept;
  [[nodiscard]] bool adopt(const Work& work, Verdict& verdict) noexcept;
  // A flow for the packet, opened in that direction. Null: the table is full.
  [[nodiscard]] Flow* insert(const Work& work, rules::Direction opener, FlowState state) noexcept;

  FlowTable& flows_;
  FlowReview review_;
  const Snapshot* snapshot_ = nullptr;  // of the burst at hand
  bool started_ = false;
  std::uint32_t adopt_until_s_ = 0;
  bool is_adopting_ = false;
  bool is_strict_ = true;
  std::uint64_t opened_ = 0;
  std::uint64_t adopted_ = 0;
  std::uint64_t pressed_ = 0;
  std::uint64_t swept_for_ = 0;  // flows opened or adopted when the sweep last came by
};

}  // namespace sluice::dataplane
