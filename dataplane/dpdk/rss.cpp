// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dpdk/rss.h"

#include <algorithm>
#include <bit>
#include <vector>

namespace sluice::dataplane::dpdk {
namespace {

// Addresses only, of whole packets and of fragments: what the owner of a flow depends on. A port
// that hashes the ports of TCP and UDP whatever it is told does not offer the first of each line.
constexpr std::uint64_t kNeeded = RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_IPV6;
constexpr std::uint64_t kWanted = kNeeded | RTE_ETH_RSS_FRAG_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_OTHER |
                                  RTE_ETH_RSS_FRAG_IPV6 | RTE_ETH_RSS_NONFRAG_IPV6_OTHER;
constexpr std::uint8_t kKeyBytesMin = 40;  // IPv6: two addresses and 32 bits
constexpr std::size_t kTableMax = 4096;

// A driver that does not say takes the usual.
std::uint8_t key_bytes(const rte_eth_dev_info& info) {
  return info.hash_key_size == 0 ? kKeyBytesMin : info.hash_key_size;
}

bool can_spread(const rte_eth_dev_info& info, unsigned queues) {
  return info.max_rx_queues >= queues && info.max_tx_queues >= queues &&
         (info.flow_type_rss_offloads & kNeeded) == kNeeded && info.reta_size >= queues &&
         info.reta_size <= kTableMax && key_bytes(info) >= kKeyBytesMin &&
         key_bytes(info) <= SymmetricRss::kKeyBytes;
}

}  // namespace

std::optional<SymmetricRss> plan_rss(std::span<const rte_eth_dev_info> ports, unsigned queues,
                                     std::uint16_t pattern) {
  if (queues < 2 || ports.empty()) return std::nullopt;
  SymmetricRss rss{pattern, kTableMax};
  for (const rte_eth_dev_info& info : ports) {
    if (!can_spread(info, queues)) return std::nullopt;
    // The port takes the hash modulo its table, a power of two; the smallest decides.
    rss.table_size = std::min<std::uint16_t>(rss.table_size, std::bit_floor(info.reta_size));
  }
  return rss;
}

RssConf::RssConf(const SymmetricRss& rss, const rte_eth_dev_info& info) : key_(rss.key()) {
  conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
  conf.rx_adv_conf.rss_conf.rss_key = key_.data();
  conf.rx_adv_conf.rss_conf.rss_key_len = key_bytes(info);
  conf.rx_adv_conf.rss_conf.rss_hf = kWanted & info.flow_type_rss_offloads;
}

bool program_table(std::uint16_t port_id, const rte_eth_dev_info& info, const SymmetricRss& rss,
                   unsigned queues) {
  std::vector<rte_eth_rss_reta_entry64> groups((info.reta_size + RTE_ETH_RETA_GROUP_SIZE - 1) /
                                               RTE_ETH_RETA_GROUP_SIZE);
  for (std::size_t i = 0; i < info.reta_size; ++i) {
    auto& group = groups[i / RTE_ETH_RETA_GROUP_SIZE];
    group.mask |= std::uint64_t{1} << (i % RTE_ETH_RETA_GROUP_SIZE);
    group.reta[i % RTE_ETH_RETA_GROUP_SIZE] = rss.queue_of_entry(i, queues);
  }
  return rte_eth_dev_rss_reta_update(port_id, groups.data(), info.reta_size) == 0;
}

}  // namespace sluice::dataplane::dpdk
