// SPDX-License-Identifier: Apache-2.0
//
// The verdict on a packet, and the ONE list of drop reasons: counters, metrics, API, CLI and
// documentation are generated from it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "rules/packet_key.h"

namespace sluice::dataplane {

// X(name, sentence). Order: a packet's way through the pipeline.
#define SLUICE_DROP_REASONS(X)                                                               \
  X(no_table, "no rules are in force yet: the node forwards nothing")                        \
  X(ethertype, "a frame type or VLAN tag that the zone does not carry")                      \
  X(malformed, "headers are cut short or contradict each other")                             \
  X(bad_checksum, "the checksum of the IPv4 header is wrong, or of a transport that counts") \
  X(ip_options, "IPv4 options, which the node does not allow")                               \
  X(ipv6_extension, "an IPv6 extension header chain that is not allowed")                    \
  X(martian, "a source address that no host may use, or source equal to destination")        \
  X(tcp_flags, "a combination of TCP flags that no stack sends")                             \
  X(neighbour_discovery,                                                                     \
    "an ICMPv6 redirect, or neighbour discovery from off the link or the wrong side")        \
  X(spoofed, "from inside with an address that no load balancer owns")                       \
  X(no_load_balancer, "no load balancer of the zone owns the destination")                   \
  X(fragment_tiny, "a first fragment without the whole transport header")                    \
  X(fragment_invalid, "a fragment that overlaps, overflows or is misaligned")                \
  X(fragment_orphan, "a later fragment whose first was not judged")                          \
  X(no_flow, "a reply or mid-stream packet of no known connection")                          \
  X(tcp_window, "a TCP packet outside the window of its connection")                         \
  X(icmp_unrelated, "an ICMP error about no known connection, and no rule allows it")        \
  X(no_rule, "no rule of an attached group allows it")                                       \
  X(revoked, "its connection is no longer allowed by the rules in force")                    \
  X(flow_table_full, "the connection table is full and nothing in it may be replaced")       \
  X(handover_full, "the queue to the worker that owns the connection is full")               \
  X(transmit_full, "the outgoing port did not take it")

enum class DropReason : std::uint8_t {
  none = 0,  // passed
#define SLUICE_X(name, sentence) name,
  SLUICE_DROP_REASONS(SLUICE_X)
#undef SLUICE_X
};

#define SLUICE_X(name, sentence) +1
inline constexpr std::size_t kDropReasons = 1 SLUICE_DROP_REASONS(SLUICE_X);  // with `none`
#undef SLUICE_X

struct DropReasonText {
  std::string_view name;
  std::string_view sentence;
};

inline constexpr std::array<DropReasonText, kDropReasons> kDropReasonTexts{
    {{"none", "passed"},
#define SLUICE_X(name, sentence) {#name, sentence},
     SLUICE_DROP_REASONS(SLUICE_X)
#undef SLUICE_X
    }};
#undef SLUICE_DROP_REASONS

[[nodiscard]] constexpr std::string_view to_string(DropReason reason) {
  return kDropReasonTexts[static_cast<std::size_t>(reason)].name;
}

// How a packet stands to a connection.
enum class FlowKind : std::uint8_t {
  none,         // judged without one
  fresh,        // opened one; printed "new"
  established,  // belongs to one
  related,      // an ICMP error about one
  adopted,      // met in its middle after a start, and tracked from here on
};

[[nodiscard]] constexpr std::string_view to_string(FlowKind kind) {
  constexpr std::array<std::string_view, 5> names{"none", "new", "established", "related",
                                                  "adopted"};
  return names[static_cast<std::size_t>(kind)];
}

struct Verdict {
  DropReason reason = DropReason::none;
  FlowKind flow = FlowKind::none;
  rules::LbId lb = 0;  // 0: none found, or not looked for
  // The rule that allowed it; {0, 0} where none was needed, or where tracking = rules_first asked
  // the rules for no more than a yes.
  rules::RuleRef rule;
  std::uint64_t generation = 0;
  // Neither passed nor dropped yet: a fragment that waits for its first. The pipeline hands the
  // frame back with its verdict.
  bool is_held = false;
  [[nodiscard]] bool passes() const { return reason == DropReason::none && !is_held; }
};

}  // namespace sluice::dataplane
