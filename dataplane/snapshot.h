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

struct Settings {
  bool pass_unknown_addresses = false;  // forward what no LB owns, unjudged
  bool allow_ip_options = false;
  FlowTimeouts timeouts;
};

struct Snapshot {
  std::shared_ptr<const rules::Table> table;  // never null
  Settings settings;
  [[nodiscard]] std::uint64_t generation() const { return table->generation(); }
};

}  // namespace sluice::dataplane
