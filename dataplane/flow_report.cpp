// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow_report.h"

#include <array>

namespace sluice::dataplane {

std::string_view to_string(FlowState state) {
  constexpr std::array<std::string_view, kFlowStates> names{
      "syn_sent", "syn_crossed", "syn_received",  "established", "fin_opener", "fin_other",
      "closing",  "reset",       "udp_unreplied", "udp_replied", "icmp_echo",  "other"};
  static_assert(static_cast<std::size_t>(TcpState::reset) == 7);
  return names[static_cast<std::size_t>(state)];
}

std::string_view to_string(FlowOutlook outlook) {
  constexpr std::array<std::string_view, 4> names{"allowed", "kept", "draining", "cut"};
  return names[static_cast<std::size_t>(outlook)];
}

}  // namespace sluice::dataplane
