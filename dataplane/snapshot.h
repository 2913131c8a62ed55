// SPDX-License-Identifier: Apache-2.0
//
// What one publish brings into force, immutable: the table and the node's settings beside it.
#pragma once

#include <cstdint>
#include <memory>

#include "rules/table.h"

namespace sluice::dataplane {

// Idle times after which a flow ends, in seconds (SEMANTICS §4, Flows).
struct FlowTimeouts {
  std::uint32_t tcp_opening_s = 60;
  std::uint32_t tcp_established_s = 7440;
  std::uint32_t tcp_closing_s = 120;
  std::uint32_t tcp_reset_s = 10;
  std::uint32_t udp_unreplied_s = 30;
  std::uint32_t udp_replied_s = 180;
  std::uint32_t icmp_s = 60;
  std::uint32_t other_s = 600;
};

// What the rules decide and what the flows (DESIGN.md, Flows).
enum class Tracking : std::uint8_t {
  strict,  // every packet belongs to a flow or opens one
  // A TCP packet that the rules allow in its own direction passes by them alone, unless it is part
  // of a handshake or an end; flows answer for what the rules do not allow, the replies.
  rules_first,
};

struct Settings {
  bool pass_unknown_addresses = false;  // forward what no LB owns, unjudged
  bool allow_ip_options = false;
  bool pass_dhcp = false;        // DHCP of load balancers with servers outside
  bool verify_checksums = true;  // of transports, where a packet opens, ends or resets a flow
  Tracking tracking = Tracking::strict;
  std::uint32_t adopt_s = 0;  // after the first table: connections met in their middle are adopted
  FlowTimeouts timeouts{};
};

// What becomes of live flows that the new table no longer allows (SEMANTICS §3).
enum class FlowFate : std::uint8_t {
  cut,    // they end with their next packet
  keep,   // they go on until they end by themselves, also through later changes
  drain,  // as keep for drain_s, then cut
};
struct FlowsOnChange {
  FlowFate fate = FlowFate::cut;
  std::uint32_t drain_s = 0;
  bool operator==(const FlowsOnChange&) const = default;
};

struct Snapshot {
  std::shared_ptr<const rules::Table> table;  // never null
  Settings settings{};
  FlowsOnChange flows{};
  [[nodiscard]] std::uint64_t generation() const { return table->generation(); }
};

}  // namespace sluice::dataplane
