// SPDX-License-Identifier: Apache-2.0
//
// Floods at full rate through the pipeline, on a simulated clock: who is there stays, and who comes
// gets in.
#include <gtest/gtest.h>

#include <deque>
#include <functional>

#include "dataplane/offline/replay.h"
#include "rules/compile.h"
#include "rules/node_json.h"
#include "tests/packet_builder.h"

namespace sluice::dataplane {
namespace {

using offline::Input;
using offline::Replay;

constexpr TimeNs kMicrosecond = 1'000, kMillisecond = 1'000'000;
constexpr std::uint32_t kLb = 0x0a00000a, kFlowsMax = 1u << 16;

std::shared_ptr<const Snapshot> snapshot() {
  const auto document = rules::node_from_json(*rules::parse_json(R"({
    "security_groups":[{"name":"g","rules":[
      {"rule_type":"Inbound","protocol_name":"TCP","port_range":"443","network":"any"},
      {"rule_type":"Inbound","protocol_name":"UDP","port_range":"53","network":"any"},
      {"rule_type":"Outbound","protocol_name":"TCP","port_range":"8080","network":"any"}]}],
    "load_balancers":[{"name":"a","addresses":["10.0.0.10"],"security_groups":["g"]}]})"));
  const std::vector<std::string> zones{""};
  return std::make_shared<const Snapshot>(
      Snapshot{*rules::Compiler().compile(document->node, zones, 1)});
}

struct Client {
  std::uint32_t address = 0;
  std::uint16_t port = 0;
};

tests::Bytes frame(const Client& client, bool from_client, std::uint8_t flags,
                   std::uint32_t seq = 1001, std::uint32_t ack = 1001) {
  const std::string remote = to_string(rules::Address::ipv4(client.address));
  const std::string lb = to_string(rules::Address::ipv4(kLb));
  tests::PacketBuilder packet(from_client ? remote : lb, from_client ? lb : remote);
  const std::uint16_t to = flags == 0 ? 53 : 443;
  const std::uint16_t source = from_client ? client.port : to;
  const std::uint16_t destination = from_client ? to : client.port;
  if (flags == 0) return packet.udp(source, destination).frame();
  return packet.tcp(source, destination, flags).numbers(seq, ack).frame();
}

struct Bed {
  Replay replay{kFlowsMax};
  TimeNs now = 1'000 * kMillisecond;

  Bed() { replay.publish(snapshot()); }
  bool passes(Side side, tests::Bytes bytes) {
    return replay.judge({now, side, std::move(bytes)}).passes();
  }
  bool syn(const Client& client) {
    return passes(Side::outside, frame(client, true, kTcpSyn, 1000, 0));
  }
  bool syn_ack(const Client& client) {
    return passes(Side::inside, frame(client, false, kTcpSyn | kTcpAck, 1000, 1001));
  }
  bool ack(const Client& client) { return passes(Side::outside, frame(client, true, kTcpAck)); }
};

std::vector<Client> connect(Bed& bed, std::uint32_t count) {
  std::vector<Client> clients;
  for (std::uint32_t i = 0; i < count; ++i) {
    clients.push_back({0x0b000000 + i * 7, static_cast<std::uint16_t>(2000 + i % 50'000)});
    EXPECT_TRUE(bed.syn(clients[i]) && bed.syn_ack(clients[i]) && bed.ack(clients[i]));
  }
  return clients;
}

struct Result {
  double established = 0;  // shares that passed
  double newcomers = 0;
};

// A second at a million packets/s: `flood(i)` sends the i-th. Every millisecond ten established
// connections send, both ways, and a newcomer begins a handshake over 100 ms of way.
Result under(const std::function<void(Bed&, std::uint32_t)>& flood) {
  Bed bed;
  const std::vector<Client> established = connect(bed, 10'000);
  struct Newcomer {
    Client client;
    TimeNs ack_at;
    bool alive;
  };
  std::deque<Newcomer> waiting;
  std::uint64_t sent = 0, arrived = 0, begun = 0, through = 0;
  for (std::uint32_t i = 0; i < 1'000'000; ++i) {
    bed.now += kMicrosecond;
    flood(bed, i);
    if (i % 1000 != 0) continue;
    for (std::size_t n = 0; n < 10; ++n) {
      const Client& client = established[(i / 100 + n) % established.size()];
      sent += 2;
      arrived += bed.ack(client);
      arrived += bed.passes(Side::inside, frame(client, false, kTcpAck));
    }
    const Client client{0x14000000 + i, static_cast<std::uint16_t>(1024 + i % 60'000)};
    waiting.push_back({client, bed.now + 100 * kMillisecond, bed.syn(client)});
    ++begun;
    for (; !waiting.empty() && waiting.front().ack_at <= bed.now; waiting.pop_front()) {
      const Newcomer& newcomer = waiting.front();
      through += newcomer.alive && bed.syn_ack(newcomer.client) && bed.ack(newcomer.client);
    }
  }
  const Counts counts = bed.replay.counts();
  EXPECT_EQ(counts.received, counts.passed + counts.dropped_total());
  return {static_cast<double>(arrived) / static_cast<double>(sent),
          static_cast<double>(through) / static_cast<double>(begun - waiting.size())};
}

Client flooder(std::uint32_t i, std::uint32_t hosts) {
  const std::uint32_t host = i * 2654435761u % hosts;
  return {0x0c000000 + host, static_cast<std::uint16_t>(1024 + i / 7 % 64'000)};
}

TEST(Flood, OfSynFromAThousandHostsHarmsNobodyElse) {
  const Result result = under([](Bed& bed, std::uint32_t i) { bed.syn(flooder(i, 1000)); });
  EXPECT_GE(result.established, 0.99);
  EXPECT_GE(result.newcomers, 0.95);
}

TEST(Flood, OfSynThatTheLoadBalancerAnswersHarmsNobodyElse) {
  const Result result = under([](Bed& bed, std::uint32_t i) {
    const Client client = flooder(i, 1000);
    if (bed.syn(client)) (void)bed.syn_ack(client);
  });
  EXPECT_GE(result.established, 0.99);
  EXPECT_GE(result.newcomers, 0.95);
}

TEST(Flood, OfSynFromOneHostHarmsNobodyElse) {
  const Result result = under([](Bed& bed, std::uint32_t i) { bed.syn(flooder(i, 1)); });
  EXPECT_GE(result.established, 0.99);
  EXPECT_GE(result.newcomers, 0.99);
}

TEST(Flood, OfUdpHarmsNobodyElse) {
  const Result result = under([](Bed& bed, std::uint32_t i) {
    (void)bed.passes(Side::outside, frame(flooder(i, 1000), true, 0));
  });
  EXPECT_GE(result.established, 0.99);
  EXPECT_GE(result.newcomers, 0.95);
}

// First fragments open connections, later ones wait for a first that never comes.
TEST(Flood, OfFragmentsHarmsNobodyElse) {
  std::uint32_t begun = 0, orphans = 0;
  const Result result = under([&](Bed& bed, std::uint32_t i) {
    const Client client = flooder(i, 1000);
    tests::PacketBuilder packet(to_string(rules::Address::ipv4(client.address)),
                                to_string(rules::Address::ipv4(kLb)));
    packet.udp(client.port, 53, 16);
    if (i % 2 == 0) {
      packet.fragment(0, true, i);
    } else {
      packet.payload_of_fragment(tests::Bytes(16)).fragment(1480, i % 4 == 1, i);
    }
    begun += bed.passes(Side::outside, packet.frame());
    for (const auto& released : bed.replay.take_released())
      orphans += released.verdict.reason == DropReason::fragment_orphan;
  });
  EXPECT_GE(result.established, 0.99);
  EXPECT_GE(result.newcomers, 0.95);
  // The flood is none of what a look at the header turns away.
  EXPECT_GT(begun, 100'000u);
  EXPECT_GT(orphans, 10'000u);
}

// Addresses without number cannot be told from newcomers; those who are there stay all the same.
TEST(Flood, OfSpoofedSynLeavesTheEstablishedAlone) {
  const Result result = under([](Bed& bed, std::uint32_t i) {
    bed.syn({i * 2654435761u % 0x7e000000u + 0x20000000u, static_cast<std::uint16_t>(i | 1024)});
  });
  EXPECT_GE(result.established, 0.99);
}

// Mid-stream packets of no connection open nothing.
TEST(Flood, OfAckTakesNoRoom) {
  Bed bed;
  for (std::uint32_t i = 0; i < 100'000; ++i) EXPECT_FALSE(bed.ack(flooder(i, 1000)));
  EXPECT_EQ(bed.replay.counts().flows_live, 0u);
}

}  // namespace
}  // namespace sluice::dataplane
