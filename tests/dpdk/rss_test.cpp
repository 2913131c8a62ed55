// SPDX-License-Identifier: Apache-2.0
//
// What a port computes (DPDK's own Toeplitz) against the owner that a worker computes.
#include "dataplane/dpdk/rss.h"

#include <gtest/gtest.h>
#include <rte_thash.h>

#include <random>

#include "tests/packet_builder.h"

namespace sluice::dataplane::dpdk {
namespace {

using rules::Address;

// The hash of a port over (source, destination).
std::uint32_t hash_of_port(const SymmetricRss& rss, const Address& source,
                           const Address& destination) {
  std::vector<std::uint32_t> words;
  for (const Address& address : {source, destination}) {
    if (address.family == rules::Family::ipv6)
      for (const std::uint64_t half : {address.high, address.low})
        words.insert(words.end(),
                     {static_cast<std::uint32_t>(half >> 32), static_cast<std::uint32_t>(half)});
    else
      words.push_back(static_cast<std::uint32_t>(address.low));
  }
  const auto key = rss.key();
  return rte_softrss(words.data(), static_cast<std::uint32_t>(words.size()), key.data());
}

rte_eth_dev_info capable() {
  rte_eth_dev_info info{};
  info.max_rx_queues = info.max_tx_queues = 16;
  info.flow_type_rss_offloads = RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_TCP;
  info.reta_size = 128;
  info.hash_key_size = 40;
  return info;
}

TEST(Rss, DeliversBothDirectionsToTheOwner) {
  std::mt19937_64 random(9);
  const std::vector<std::uint16_t> zones(kVlans, 0);
  for (const std::uint16_t pattern : {0x6d5a, 0x1234, 0xfffe, 0x0001}) {
    for (const std::uint16_t table : {64, 128, 512}) {
      const SymmetricRss rss{pattern, table};
      for (const unsigned queues : {2u, 3u, 8u}) {
        const FlowOwner owner(queues, rss);
        for (int i = 0; i < 200; ++i) {
          const bool v6 = random() % 2 == 0;
          const auto draw = [&] {
            return v6 ? Address::ipv6(0x20010db8ull << 32 | (random() >> 32), random())
                      : Address::ipv4(0x0a000000 | static_cast<std::uint32_t>(random() >> 40));
          };
          const Address one = draw(), other = draw();
          const std::uint32_t hash = hash_of_port(rss, one, other);
          ASSERT_EQ(hash_of_port(rss, other, one), hash);
          const auto frame =
              tests::PacketBuilder(to_string(one), to_string(other)).tcp(1, 2, 2).frame();
          const unsigned owned = owner.of({frame.data(), static_cast<std::uint32_t>(frame.size())},
                                          {Side::outside, zones.data()}, 99);
          // Ports with tables of other sizes name the same queue.
          for (const std::size_t size : {std::size_t{table}, std::size_t{table} * 4})
            ASSERT_EQ(rss.queue_of_entry(hash % size, queues), owned);
        }
      }
    }
  }
}

TEST(Rss, IsPlannedWhereEveryPortHasWhatItNeeds) {
  const auto plan = [](std::vector<rte_eth_dev_info> infos, unsigned queues) {
    return plan_rss(infos, queues, 0x6d5a);
  };
  auto larger = capable();
  larger.reta_size = 512;
  larger.hash_key_size = 52;
  ASSERT_TRUE(plan({larger, capable()}, 4));
  EXPECT_EQ(plan({larger, capable()}, 4)->table_size, 128) << "the smallest decides";
  EXPECT_FALSE(plan({capable()}, 1)) << "one worker needs no spreading";
  EXPECT_FALSE(plan({}, 2));
  const std::pair<const char*, void (*)(rte_eth_dev_info&)> kLacks[] = {
      {"receive queues", [](auto& info) { info.max_rx_queues = 1; }},
      {"transmit queues", [](auto& info) { info.max_tx_queues = 1; }},
      {"a hash of IPv4 addresses alone",
       [](auto& info) { info.flow_type_rss_offloads &= ~RTE_ETH_RSS_IPV4; }},
      {"a hash of IPv6 addresses alone",
       [](auto& info) { info.flow_type_rss_offloads &= ~RTE_ETH_RSS_IPV6; }},
      {"a table", [](auto& info) { info.reta_size = 0; }},
      {"a key long enough for IPv6", [](auto& info) { info.hash_key_size = 16; }},
      {"a key that we can make", [](auto& info) { info.hash_key_size = 128; }},
  };
  for (const auto& [what, lack] : kLacks) {
    auto info = capable();
    lack(info);
    EXPECT_FALSE(plan({capable(), info}, 2)) << what;
  }
}

TEST(Rss, AsksForAddressesOnly) {
  const RssConf conf(SymmetricRss{}, capable());
  EXPECT_EQ(conf.conf.rx_adv_conf.rss_conf.rss_hf, RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_IPV6);
  EXPECT_EQ(conf.conf.rx_adv_conf.rss_conf.rss_key_len, 40);
  EXPECT_EQ(conf.conf.rxmode.mq_mode, RTE_ETH_MQ_RX_RSS);
}

}  // namespace
}  // namespace sluice::dataplane::dpdk
