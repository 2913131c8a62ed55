// SPDX-License-Identifier: Apache-2.0
//
// Receive-side scaling: ports that spread frames over the workers' queues by themselves, so that
// both directions of a flow arrive with its owner. Only a saving: workers look at every frame's
// owner, and what a port delivers elsewhere is handed over.
#pragma once

#include <rte_ethdev.h>

#include <cstdint>
#include <optional>
#include <span>

#include "dataplane/flow_owner.h"

namespace sluice::dataplane::dpdk {

// How all of these ports can spread over so many queues; nothing: not all of them can.
[[nodiscard]] std::optional<SymmetricRss> plan_rss(std::span<const rte_eth_dev_info> ports,
                                                   unsigned queues, std::uint16_t pattern);

// For rte_eth_dev_configure; `rss` must outlive the call.
struct RssConf {
  RssConf(const SymmetricRss& rss, const rte_eth_dev_info& info);
  RssConf(const RssConf&) = delete;
  RssConf& operator=(const RssConf&) = delete;
  rte_eth_conf conf{};

 private:
  std::array<std::uint8_t, SymmetricRss::kKeyBytes> key_;
};

// The redirection table of a configured port. False: the driver refused; its own stays.
[[nodiscard]] bool program_table(std::uint16_t port_id, const rte_eth_dev_info& info,
                                 const SymmetricRss& rss, unsigned queues);

}  // namespace sluice::dataplane::dpdk
