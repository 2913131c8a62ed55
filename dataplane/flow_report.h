// SPDX-License-Identifier: Apache-2.0
//
// A live flow as others see it, and which ones they ask for.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "dataplane/flow.h"
#include "dataplane/flow_key.h"
#include "rules/packet_key.h"

namespace sluice::dataplane {

// "syn_sent", "established", "udp_replied", …
[[nodiscard]] std::string_view to_string(FlowState state);

// What the table in force makes of a flow.
enum class FlowOutlook : std::uint8_t {
  allowed,   // goes on
  kept,      // no longer allowed; goes on until it ends by itself
  draining,  // no longer allowed; goes on for drain_left_s
  cut,       // no longer allowed: its next packet ends it
};
[[nodiscard]] std::string_view to_string(FlowOutlook outlook);

struct FlowReport {
  FlowKey key;
  rules::LbId lb = 0;
  rules::RuleRef rule;           // that allowed its opener
  std::uint64_t generation = 0;  // that judged it last
  std::uint32_t idle_s = 0;
  std::uint32_t idle_left_s = 0;  // it ends if it stays idle for so long
  std::uint32_t drain_left_s = 0;
  FlowState state = FlowState::other;
  FlowOutlook outlook = FlowOutlook::allowed;
  rules::Direction opener = rules::Direction::inbound;
  bool is_replied = false;  // both directions seen
  // Allowed by the table of `generation`, but `rule` is what allowed it before: ask the table.
  bool is_rule_stale = false;
  std::uint8_t worker = 0;
};

struct FlowFilter {
  std::optional<rules::LbId> lb;
  std::optional<rules::AddressRange> local;
  std::optional<rules::AddressRange> remote;
  std::optional<std::uint8_t> protocol;
  std::optional<std::uint16_t> port;         // of either side
  std::uint32_t states = ~std::uint32_t{0};  // bit of each FlowState
};

// Where a listing goes on.
struct FlowCursor {
  std::uint32_t worker = 0;
  std::uint32_t cell = 0;
};

}  // namespace sluice::dataplane
