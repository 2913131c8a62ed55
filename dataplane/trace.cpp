// SPDX-License-Identifier: Apache-2.0
#include "dataplane/trace.h"

#include <algorithm>
#include <array>
#include <memory>
#include <new>
#include <vector>

#include "dataplane/pipeline.h"

namespace sluice::dataplane {
namespace {

using Bytes = std::vector<std::uint8_t>;
using rules::Address;
using rules::Direction;
using rules::Family;

// Longer than any frame of ours: jumbo frames, and what an af_packet port has put together.
constexpr std::uint32_t kFrameMax = 65'535 + 18;

void put16(Bytes& bytes, std::size_t at, std::uint32_t value) {
  bytes[at] = static_cast<std::uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(value);
}

void append(Bytes& bytes, const Address& address) {
  const std::size_t size = address.family == Family::ipv4 ? 4 : 16;
  for (std::size_t i = 0; i < size; ++i)
    bytes.push_back(static_cast<std::uint8_t>(address.value() >> (8 * (size - 1 - i))));
}

Bytes transport_of(const TraceQuestion& question) {
  const bool inbound = question.direction == Direction::inbound;
  Bytes bytes(8, 0);
  switch (question.protocol) {
    case rules::kProtocolTcp:
      bytes.resize(20);
      bytes[12] = 5 << 4;
      bytes[13] = kTcpSyn;
      put16(bytes, 14, 65535);
      break;
    case rules::kProtocolUdp:
      put16(bytes, 4, 8);
      break;
    case rules::kProtocolSctp:
      bytes.resize(12);
      break;
    case rules::kProtocolIcmp:
    case rules::kProtocolIcmpv6:
      bytes.resize(32);  // neighbour discovery wants an address behind its header
      bytes[0] = question.icmp_type;
      bytes[1] = question.icmp_code;
      return bytes;
    default:
      return bytes;
  }
  put16(bytes, 0, inbound ? question.remote_port : question.local_port);
  put16(bytes, 2, inbound ? question.local_port : question.remote_port);
  return bytes;
}

void sum_ipv4_header(Bytes& bytes, std::size_t at) {
  std::uint32_t sum = 0;
  for (std::size_t i = at; i < at + 20; i += 2) sum += bytes[i] * 256u + bytes[i + 1];
  sum = (sum & 0xffff) + (sum >> 16);
  put16(bytes, at + 10, ~((sum & 0xffff) + (sum >> 16)));
}

Bytes frame_of(const TraceQuestion& question) {
  constexpr std::size_t kIp = 14;
  const bool inbound = question.direction == Direction::inbound;
  const Bytes transport = transport_of(question);
  const bool v4 = question.local.family == Family::ipv4;
  Bytes bytes(kIp + (v4 ? 12 : 8), 0);
  put16(bytes, 12, v4 ? 0x0800 : 0x86dd);
  if (v4) {
    bytes[kIp] = 0x45;
    put16(bytes, kIp + 2, static_cast<std::uint32_t>(20 + transport.size()));
    bytes[kIp + 8] = 255;
    bytes[kIp + 9] = question.protocol;
  } else {
    bytes[kIp] = 0x60;
    put16(bytes, kIp + 4, static_cast<std::uint32_t>(transport.size()));
    bytes[kIp + 6] = question.protocol;
    bytes[kIp + 7] = 255;
  }
  append(bytes, inbound ? question.remote : question.local);
  append(bytes, inbound ? question.local : question.remote);
  if (v4) sum_ipv4_header(bytes, kIp);
  bytes.insert(bytes.end(), transport.begin(), transport.end());
  return bytes;
}

using Vlans = std::array<std::uint16_t, kVlans>;

std::unique_ptr<Vlans> all_of(std::uint16_t zone) {
  auto vlans = std::make_unique<Vlans>();
  vlans->fill(zone);
  return vlans;
}

Side side_of(Direction direction) {
  return direction == Direction::inbound ? Side::outside : Side::inside;
}

// Zeroed, as the tables want it.
class Memory {
 public:
  explicit Memory(std::size_t size)
      : bytes_(static_cast<std::byte*>(::operator new[](size, std::align_val_t{64}))), size_(size) {
    std::fill_n(bytes_, size, std::byte{0});
  }
  ~Memory() { ::operator delete[](bytes_, std::align_val_t{64}); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  [[nodiscard]] std::span<std::byte> span() const { return {bytes_, size_}; }

 private:
  std::byte* bytes_;
  std::size_t size_;
};

// A pipeline of its own, without flows.
Verdict judge(const Snapshot& snapshot, const Bytes& bytes, Side side, std::uint16_t zone) {
  constexpr std::uint32_t kFlows = 8, kDatagrams = 8;
  const Memory flow_memory(FlowTable::size_bytes(kFlows));
  const Memory fragment_memory(FragmentTracker::size_bytes(kDatagrams));
  FlowTable flows(flow_memory.span(), kFlows, {});
  FragmentTracker fragments(fragment_memory.span(), kDatagrams, {});
  const auto pipeline = std::make_unique<Pipeline>(flows, fragments);
  const auto vlans = all_of(zone);
  const Frame frame{bytes.data(), static_cast<std::uint32_t>(bytes.size()), 0};
  Verdict verdict;
  pipeline->judge(&snapshot, {side, vlans->data()}, {&frame, 1}, 1'000'000'000, {&verdict, 1});
  return verdict;
}

}  // namespace

Traced trace(const Snapshot& snapshot, const TraceQuestion& question) {
  Snapshot unsummed = snapshot;
  unsummed.settings.verify_checksums = false;
  unsummed.settings.adopt_s = 0;
  const Bytes bytes = frame_of(question);
  const Side side = side_of(question.direction);
  return {
      judge(unsummed, bytes, side, question.zone),
      rules_view(snapshot, bytes, static_cast<std::uint32_t>(bytes.size()), side, question.zone)};
}

std::optional<RulesView> rules_view(const Snapshot& snapshot, std::span<const std::uint8_t> head,
                                    std::uint32_t size_bytes, const Ingress& ingress) {
  // The parser checks lengths and headers, not what the rest of the frame holds.
  Bytes bytes(head.begin(), head.end());
  bytes.resize(std::max(bytes.size(), std::size_t{std::min(size_bytes, kFrameMax)}));
  const Packet packet = parse({bytes.data(), static_cast<std::uint32_t>(bytes.size()), 0}, ingress,
                              snapshot.settings);
  const bool is_asked = packet.kind == PacketKind::transport ||
                        packet.kind == PacketKind::icmp_error ||
                        packet.kind == PacketKind::icmp_other;
  if (!is_asked) return std::nullopt;
  const rules::LbMatch lb = snapshot.table->find_lb(packet.zone, packet.local);
  if (lb.lb == 0) return std::nullopt;
  return RulesView{lb, rules_key(packet, lb.policy)};
}

std::optional<RulesView> rules_view(const Snapshot& snapshot, std::span<const std::uint8_t> head,
                                    std::uint32_t size_bytes, Side side, std::uint16_t zone) {
  return rules_view(snapshot, head, size_bytes, Ingress{side, all_of(zone)->data()});
}

rules::PacketKey opener_of(const FlowReport& flow, rules::PolicyIndex policy) {
  return opener_key(flow.key, flow.opener, policy);
}

rules::Explanation explain(const rules::Table& table, const RulesView& view) {
  return rules::explain(table.policy(view.lb.policy).groups, view.key);
}

}  // namespace sluice::dataplane
