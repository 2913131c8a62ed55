// SPDX-License-Identifier: Apache-2.0
#include "bench/tcp_trace.h"

#include <cstring>

#include "rules/compile.h"

namespace sluice::bench {
namespace {

using dataplane::kBurstMax;
using rules::Address;

constexpr std::uint32_t kNetworks = 1000, kNetworkSize = 1u << 14;
constexpr std::size_t kPayload = 6;

rules::Rule tcp_rule(rules::RuleId id, rules::Direction direction, std::uint16_t port) {
  rules::Rule rule;
  rule.id = id;
  rule.direction = direction;
  rule.protocol.kind = rules::ProtocolKind::custom_tcp;
  rule.ports.ranges = {{port, port}};
  return rule;
}

void put16(std::uint8_t* at, std::uint32_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}
void put32(std::uint8_t* at, std::uint32_t value) {
  put16(at, value >> 16);
  put16(at + 2, value);
}
std::uint32_t sum16(const std::uint8_t* at, std::size_t size, std::uint32_t sum) {
  for (std::size_t i = 0; i < size; i += 2)
    sum += static_cast<std::uint32_t>(at[i] << 8 | at[i + 1]);
  return sum;
}
std::uint32_t folded(std::uint32_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

}  // namespace

void write_tcp(const TcpEnds& ends, std::uint8_t flags, std::uint32_t seq, std::uint32_t ack,
               std::uint8_t* frame) {
  const std::size_t payload = (flags & 0x08) ? kPayload : 0;
  std::memset(frame, 0, kFrameBytes);
  put16(frame + 12, 0x0800);
  std::uint8_t* ip = frame + 14;
  ip[0] = 0x45;
  put16(ip + 2, static_cast<std::uint32_t>(40 + payload));
  ip[8] = 64;
  ip[9] = 6;
  put32(ip + 12, ends.source);
  put32(ip + 16, ends.destination);
  put16(ip + 10, folded(sum16(ip, 20, 0)));
  std::uint8_t* tcp = ip + 20;
  put16(tcp, ends.source_port);
  put16(tcp + 2, ends.destination_port);
  put32(tcp + 4, seq);
  put32(tcp + 8, ack);
  tcp[12] = 5 << 4;
  tcp[13] = flags;
  put16(tcp + 14, 65535);
  const std::uint32_t pseudo = sum16(ip + 12, 8, static_cast<std::uint32_t>(6 + 20 + payload));
  put16(tcp + 16, folded(sum16(tcp, 20 + payload, pseudo)));
}

rules::Node thousand_rules_node(bool all_outbound) {
  rules::Group group;
  group.id = 1;
  group.name = "thousand";
  for (std::uint32_t i = 0; i < kNetworks; ++i) {
    rules::Rule rule = tcp_rule(i + 1, rules::Direction::inbound, 443);
    const std::uint32_t first = kClients + i * kNetworkSize;
    rule.network = {rules::NetworkType::manual,
                    {Address::ipv4(first), Address::ipv4(first + kNetworkSize - 1)},
                    0};
    group.rules.push_back(rule);
  }
  rules::Rule outbound = tcp_rule(kNetworks + 1, rules::Direction::outbound, 8080);
  if (all_outbound) outbound.ports = {};
  group.rules.push_back(outbound);
  rules::LoadBalancer lb;
  lb.id = 1;
  lb.addresses = {{Address::ipv4(kLb), rules::AddressKind::private_ip}};
  lb.groups = {1};
  rules::Node node;
  node.groups[1] = std::make_shared<const rules::Group>(group);
  node.load_balancers[1] = std::make_shared<const rules::LoadBalancer>(lb);
  return node;
}

std::shared_ptr<const dataplane::Snapshot> thousand_rules(dataplane::Settings settings,
                                                          bool all_outbound,
                                                          std::uint64_t generation) {
  const rules::Node node = thousand_rules_node(all_outbound);
  const std::vector<std::string> zones{"edge"};
  return std::make_shared<const dataplane::Snapshot>(
      dataplane::Snapshot{*rules::Compiler().compile(node, zones, generation), settings});
}

TcpTrace::TcpTrace(std::uint32_t connections, std::size_t packets)
    : packets_(packets), frames_(packets * kFrameBytes), connections_(connections) {
  std::mt19937_64 random(20260101);
  order_.resize(packets);
  for (std::uint32_t& connection : order_)
    connection = static_cast<std::uint32_t>(random() % connections);
  go_on();
}

void TcpTrace::burst(std::size_t index, std::array<dataplane::Frame, kBurstMax>& frames) const {
  const auto* at =
      reinterpret_cast<const std::uint8_t*>(frames_.data()) + index * kBurstMax * kFrameBytes;
  for (std::size_t i = 0; i < kBurstMax; ++i) frames[i] = {at + i * kFrameBytes, 60};
}

void TcpTrace::go_on() {
  auto* at = reinterpret_cast<std::uint8_t*>(frames_.data());
  for (std::size_t i = 0; i < packets_; ++i, at += kFrameBytes) {
    const bool from_client = side_of(i / kBurstMax) == dataplane::Side::outside;
    auto& sent = connections_[order_[i]].sent;
    write(order_[i], from_client, 0x18, sent[from_client ? 0 : 1], sent[from_client ? 1 : 0], at);
    sent[from_client ? 0 : 1] += kPayload;
  }
}

void TcpTrace::handshake(std::uint32_t connection, int step, std::uint8_t* frame) const {
  if (step == 0) write(connection, true, 0x02, 1000, 0, frame);
  if (step == 1) write(connection, false, 0x12, 2000, 1001, frame);
  if (step == 2) write(connection, true, 0x10, 1001, 2001, frame);
}

void TcpTrace::write(std::uint32_t connection, bool from_client, std::uint8_t flags,
                     std::uint32_t seq, std::uint32_t ack, std::uint8_t* frame) const {
  // Spread over all networks; the port tells the rounds apart.
  const std::uint32_t clients = kNetworks * kNetworkSize;
  const std::uint32_t client = kClients + connection * 2654435761u % clients;
  const auto port = static_cast<std::uint16_t>(1024 + connection / 7 % 60000);
  write_tcp(from_client ? TcpEnds{client, kLb, port, 443} : TcpEnds{kLb, client, 443, port}, flags,
            seq, ack, frame);
}

}  // namespace sluice::bench
