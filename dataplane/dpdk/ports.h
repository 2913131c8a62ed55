// SPDX-License-Identifier: Apache-2.0
//
// The Ethernet ports of the zones: opened once each, paired outside and inside.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/dpdk/dpdk_dataplane.h"
#include "dataplane/flow_owner.h"
#include "dataplane/packet.h"

struct rte_mempool;

namespace sluice::dataplane::dpdk {

struct Port {
  std::string device;  // as configured
  Side side = Side::outside;
  std::size_t peer = 0;                            // index of the port where passed frames leave
  std::uint16_t port_id = 0;                       // DPDK's
  std::uint16_t rx_queues = 1;                     // 1, or one a worker
  std::uint16_t tx_queues = 1;                     // the same
  std::array<std::uint16_t, kVlans> zone_of_vlan;  // VLAN id (0: untagged) -> zone index

  [[nodiscard]] Ingress ingress() const { return {side, zone_of_vlan.data()}; }
};

// Which devices there are and how they pair; opens nothing. Zones may share a pair of devices if
// their VLANs differ. Error: invalid, every problem.
[[nodiscard]] rules::Result<std::vector<Port>> plan_ports(const std::vector<ZoneConfig>& zones);

[[nodiscard]] bool is_pci_address(const std::string& device);

// Room of one received frame that `device` may need, in bytes.
[[nodiscard]] std::size_t frame_room_bytes(const std::string& device);

// What can be known before DPDK starts: interfaces of the kernel that are not there, or that the
// kernel would forward on beside us. Error: system.
[[nodiscard]] rules::Result<void> check_devices(const std::vector<Port>& ports);

// Opens and starts the ports. Where all of them can spread frames by themselves and `allow_rss`,
// with a receive queue a worker, and the answer tells how; else with one receive queue. With a
// transmit queue a worker where the device has that many. Error: system, the device named.
[[nodiscard]] rules::Result<std::optional<SymmetricRss>> open_ports(std::vector<Port>& ports,
                                                                    unsigned workers,
                                                                    bool allow_rss,
                                                                    rte_mempool* pool);
void close_ports(const std::vector<Port>& ports);

[[nodiscard]] PortReport report_port(const Port& port);

}  // namespace sluice::dataplane::dpdk
