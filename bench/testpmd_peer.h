// SPDX-License-Identifier: Apache-2.0
//
// The bound of what the gate may cost: dpdk-testpmd, which passes packets on between two ports and
// does nothing else (forward mode io).
#pragma once

#include <optional>
#include <string>

namespace sluice::bench {

// Packets a second over both ports on one core, measured for a second. `bursts`: so many bursts of
// 32 circulate between the ports, put there by testpmd; 0: the ports bring their own. Null: it
// does not run here (Debian's dpdk-dev brings it).
[[nodiscard]] std::optional<double> testpmd_packets_per_s(const std::string& outside,
                                                          const std::string& inside,
                                                          unsigned bursts);

}  // namespace sluice::bench
