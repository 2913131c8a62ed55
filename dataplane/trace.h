// SPDX-License-Identifier: Apache-2.0
//
// The tracer: what would become of a packet, and how the rules saw one that is gone. It runs the
// production parser and pipeline over frames that it makes or mends, never a model of them.
//
// Cost: allocates; for questions and samples of drops.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "dataplane/flow_key.h"
#include "dataplane/flow_report.h"
#include "dataplane/packet.h"
#include "dataplane/snapshot.h"
#include "dataplane/verdict.h"
#include "rules/explain.h"

namespace sluice::dataplane {

// A packet that would open a connection: a SYN, a datagram, an ICMP message of that type.
struct TraceQuestion {
  rules::Direction direction = rules::Direction::inbound;
  std::uint16_t zone = 0;
  std::uint8_t protocol = 0;
  rules::Address local;  // of the same family as `remote`
  rules::Address remote;
  std::uint16_t local_port = 0;  // where the protocol has ports
  std::uint16_t remote_port = 0;
  std::uint8_t icmp_type = 0;  // ICMP, ICMPv6
  std::uint8_t icmp_code = 0;
};

// What the rules look at in a packet of an LB's.
struct RulesView {
  rules::LbMatch lb;
  rules::PacketKey key;
};

struct Traced {
  Verdict verdict;
  std::optional<RulesView> rules;  // nothing: dropped before the rules are asked
};

// On a node without flows; checksums are right and checked by nobody.
[[nodiscard]] Traced trace(const Snapshot& snapshot, const TraceQuestion& question);

// Of a frame of `size_bytes` that began with `head`. Nothing: it is of no LB, or nothing that rules
// are asked about (malformed, ARP, a later fragment); or its headers go on beyond `head`.
[[nodiscard]] std::optional<RulesView> rules_view(const Snapshot& snapshot,
                                                  std::span<const std::uint8_t> head,
                                                  std::uint32_t size_bytes, const Ingress& ingress);
// The same, where the zone was found out before, whatever the frame's tag.
[[nodiscard]] std::optional<RulesView> rules_view(const Snapshot& snapshot,
                                                  std::span<const std::uint8_t> head,
                                                  std::uint32_t size_bytes, Side side,
                                                  std::uint16_t zone);

[[nodiscard]] rules::Explanation explain(const rules::Table& table, const RulesView& view);

// The packet that opened a flow, as the rules see it.
[[nodiscard]] rules::PacketKey opener_of(const FlowReport& flow, rules::PolicyIndex policy);

}  // namespace sluice::dataplane
