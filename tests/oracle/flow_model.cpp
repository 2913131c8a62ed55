// SPDX-License-Identifier: Apache-2.0
#include "tests/oracle/flow_model.h"

#include <algorithm>
#include <utility>

#include "tests/oracle/oracle.h"

namespace sluice::oracle {
namespace {

using dataplane::DropReason;
using dataplane::FlowKind;
using rules::Direction;
using rules::Family;

constexpr std::uint8_t kFin = 1, kSyn = 2, kRst = 4, kAck = 16;
constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmpv6 = 58, kSctp = 132;

Outcome dropped(Outcome so_far, DropReason reason) {
  so_far.reason = reason;
  so_far.flow = FlowKind::none;
  so_far.rule = {};
  return so_far;
}
Outcome passed(Outcome so_far, FlowKind flow, const rules::RuleRef& rule) {
  so_far.reason = DropReason::none;
  so_far.flow = flow;
  so_far.rule = rule;
  return so_far;
}

Direction direction_of(const SpokenPacket& packet) {
  return packet.from_outside ? Direction::inbound : Direction::outbound;
}
const rules::Address& local_of(const SpokenPacket& packet) {
  return packet.from_outside ? packet.destination : packet.source;
}
const rules::Address& remote_of(const SpokenPacket& packet) {
  return packet.from_outside ? packet.source : packet.destination;
}
bool is_icmp(const SpokenPacket& packet) {
  return packet.protocol == kIcmp || packet.protocol == kIcmpv6;
}
bool has_ports(std::uint8_t protocol) {
  return protocol == kTcp || protocol == kUdp || protocol == kSctp;
}
bool is_echo_request(const SpokenPacket& packet) {
  return is_icmp(packet) && packet.icmp_type == (packet.protocol == kIcmp ? 8 : 128);
}
bool is_echo_reply(const SpokenPacket& packet) {
  return is_icmp(packet) && packet.icmp_type == (packet.protocol == kIcmp ? 0 : 129);
}
bool is_error(const SpokenPacket& packet) {
  if (packet.protocol == kIcmp)
    return packet.icmp_type == 3 || packet.icmp_type == 11 || packet.icmp_type == 12;
  return packet.protocol == kIcmpv6 && packet.icmp_type >= 1 && packet.icmp_type <= 4;
}
std::uint16_t service_of(const SpokenPacket& packet) {
  if (is_icmp(packet)) return static_cast<std::uint16_t>(packet.icmp_type * 256 + packet.icmp_code);
  return has_ports(packet.protocol) ? packet.destination_port : 0;
}
// Of a whole packet; the sum of a datagram in fragments is not known.
bool has_bad_checksum(const SpokenPacket& packet) {
  return packet.defect == Defect::transport_checksum && !packet.piece;
}
bool opens_tcp(const SpokenPacket& packet) {
  return (packet.tcp_flags & (kSyn | kAck | kRst | kFin)) == kSyn;
}

// SEMANTICS §4, Parse: the cases that the builder of packets can make.
DropReason defect_reason(const SpokenPacket& packet, bool allow_ip_options) {
  switch (packet.defect) {
    case Defect::header_checksum:
      return DropReason::bad_checksum;
    case Defect::options:
      return allow_ip_options ? DropReason::none : DropReason::ip_options;
    case Defect::extensions:
      return DropReason::ipv6_extension;
    case Defect::flags:
      return DropReason::tcp_flags;
    case Defect::port:
      return DropReason::malformed;
    default:
      return DropReason::none;
  }
}
bool is_martian(const rules::Address& source) {
  if (source.family == Family::ipv6) return source.high >> 56 == 0xff;
  return source.low >> 24 == 127 || source.low >> 24 >= 224 || source.low >> 24 == 0;
}

}  // namespace

FateTotals FlowModel::publish(const Published& published, TimeMs now) {
  const std::shared_ptr<const rules::Node> before = std::exchange(now_in_force_, published).node;
  if (++generation_ == 1) first_publish_ = now;
  pass_time(now);
  FateTotals totals;
  for (auto& [key, flow] : flows_) {
    if (rule_for(lb_of(key.zone, key.local), flow.opener, key.protocol, flow.service, key.remote)) {
      flow.has_lost_rule |= flow.grace != Grace::none || !has_rule_still(*before, key, flow);
      flow.grace = Grace::none;
      continue;
    }
    // A fate, once acknowledged, stands until a table allows the flow again.
    if (flow.grace != Grace::none) continue;
    flow.grace = published.fate == Fate::cut    ? Grace::cut
                 : published.fate == Fate::keep ? Grace::kept
                                                : Grace::draining;
    flow.grace_until = now + published.drain_s * TimeMs{1000};
    totals.cut += flow.grace == Grace::cut;
    totals.kept += flow.grace == Grace::kept;
    totals.draining += flow.grace == Grace::draining;
  }
  return totals;
}

TimeMs FlowModel::limit_of(const Key& key, const Flow& flow) const {
  switch (key.protocol) {
    case kTcp:
      switch (flow.tcp) {
        case Tcp::syn_sent:
        case Tcp::syn_received:
          return 60'000;
        case Tcp::established:
          return 7'440'000;
        case Tcp::reset:
          return 10'000;
        default:
          return 120'000;
      }
    case kUdp:
      return flow.replied ? 180'000 : 30'000;
    case kIcmp:
    case kIcmpv6:
      return 60'000;
    default:
      return 600'000;
  }
}

void FlowModel::pass_time(TimeMs now) {
  now_ = now;
  std::erase_if(flows_, [&](const auto& entry) {
    return now - entry.second.seen >= limit_of(entry.first, entry.second);
  });
}

bool FlowModel::is_in_doubt(TimeMs now) const {
  const auto is_near = [&](TimeMs moment) { return now >= moment && now <= moment + 1000; };
  for (const auto& [key, flow] : flows_) {
    if (is_near(flow.seen + limit_of(key, flow))) return true;
    if (flow.grace == Grace::draining && is_near(flow.grace_until)) return true;
  }
  return now_in_force_.adopt_s != 0 && is_near(first_publish_ + now_in_force_.adopt_s * 1000);
}

bool FlowModel::is_draining() const {
  for (const auto& [key, flow] : flows_)
    if (flow.grace == Grace::draining) return true;
  return false;
}

// ---- Who is it for ----

rules::LbId FlowModel::lb_of(const std::string& zone, const rules::Address& local) const {
  for (const auto& [id, lb] : now_in_force_.node->load_balancers)
    for (const auto& own : lb->addresses)
      if (lb->zone == zone && own.address == local) return id;
  return 0;
}

std::optional<rules::RuleRef> FlowModel::rule_for(rules::LbId lb, Direction direction,
                                                  std::uint8_t protocol, std::uint16_t service,
                                                  const rules::Address& remote) const {
  if (lb == 0) return std::nullopt;
  const auto& node = *now_in_force_.node;
  return rule_of(*node.load_balancers.at(lb), node, {remote, 0, service, protocol, direction});
}

std::optional<Outcome> FlowModel::judge_address(const SpokenPacket& packet, Outcome& so_far) const {
  const auto zone = now_in_force_.zone_of_vlan.find(packet.vlan);
  if (zone == now_in_force_.zone_of_vlan.end()) return dropped(so_far, DropReason::ethertype);
  // In the order of the headers: first what the IP header says, then the transport.
  const DropReason defect = defect_reason(packet, now_in_force_.allow_ip_options);
  if (packet.defect == Defect::header_checksum || packet.defect == Defect::options ||
      packet.defect == Defect::extensions) {
    if (defect != DropReason::none) return dropped(so_far, defect);
  }
  if (is_martian(packet.source)) return dropped(so_far, DropReason::martian);
  if (has_transport_header(packet) && defect != DropReason::none) return dropped(so_far, defect);

  so_far.lb = lb_of(zone->second, local_of(packet));
  if (so_far.lb != 0) return std::nullopt;
  if (now_in_force_.pass_unknown_addresses) return so_far;
  return dropped(so_far, packet.from_outside ? DropReason::no_load_balancer : DropReason::spoofed);
}

FlowModel::Key FlowModel::key_of(const SpokenPacket& packet) const {
  Key key{now_in_force_.zone_of_vlan.at(packet.vlan),
          local_of(packet),
          remote_of(packet),
          packet.protocol,
          0,
          0};
  if (has_ports(packet.protocol)) {
    key.local_port = packet.from_outside ? packet.destination_port : packet.source_port;
    key.remote_port = packet.from_outside ? packet.source_port : packet.destination_port;
  }
  if (is_icmp(packet)) key.local_port = packet.echo_id;
  return key;
}

// ---- Flows ----

bool FlowModel::survives(const Key& key, Flow& flow) {
  if (flow.grace == Grace::cut || (flow.grace == Grace::draining && now_ >= flow.grace_until)) {
    revoked_.insert(key);
    flows_.erase(key);
    return false;
  }
  if (flow.has_lost_rule && flow.grace == Grace::none) {
    flow.rule =
        *rule_for(lb_of(key.zone, key.local), flow.opener, key.protocol, flow.service, key.remote);
    flow.has_lost_rule = false;
  }
  return true;
}

bool FlowModel::has_rule_still(const rules::Node& before, const Key& key, const Flow& flow) const {
  const auto find = [&](const rules::Node& node) -> const rules::Rule* {
    const auto& attached = node.load_balancers.at(lb_of(key.zone, key.local))->groups;
    if (std::find(attached.begin(), attached.end(), flow.rule.group) == attached.end())
      return nullptr;
    for (const rules::Rule& rule : node.groups.at(flow.rule.group)->rules)
      if (rule.id == flow.rule.rule) return &rule;
    return nullptr;
  };
  const rules::Rule *then = find(before), *now = find(*now_in_force_.node);
  return then != nullptr && now != nullptr && then->same_match(*now);
}

FlowModel::Step FlowModel::step(Flow& flow, const SpokenPacket& packet) const {
  const bool from_opener = direction_of(packet) == flow.opener;
  const bool syn = packet.tcp_flags & kSyn, ack = packet.tcp_flags & kAck;
  const bool fin = packet.tcp_flags & kFin, rst = packet.tcp_flags & kRst;
  const bool is_over = flow.tcp >= Tcp::fin_opener;
  if (opens_tcp(packet) && is_over) return Step::reopen;
  // rules_first lets so much pass unseen that data and FIN are taken at their word.
  const bool is_believed = now_in_force_.rules_first && !syn && !rst;
  const bool outside = packet.numbers == Numbers::outside && !is_believed;
  flow.has_jumped |= packet.numbers == Numbers::outside && is_believed;
  if (rst) {
    // The answer to a SYN must acknowledge it.
    const bool refuses = flow.tcp == Tcp::syn_sent && !from_opener;
    if (outside || (refuses && !ack)) return Step::outside;
    if (flow.tcp < Tcp::established) flow.is_refused = true;
    flow.tcp = Tcp::reset;
    return Step::pass;
  }
  if (flow.tcp == Tcp::syn_sent) {
    if (from_opener) return syn && !ack ? Step::pass : Step::drop;
    if (!syn || !ack) return Step::drop;
    if (outside) return Step::outside;
    flow.tcp = Tcp::syn_received;
    return Step::pass;
  }
  if (flow.tcp == Tcp::syn_received) {
    if (!from_opener) {
      // Behind rules_first the opener's ACK goes by unseen.
      const bool is_next = now_in_force_.rules_first && ack && !syn;
      if (!is_next && !(syn && ack)) return Step::drop;
      if (outside) return Step::outside;
      if (is_next) flow.tcp = fin ? Tcp::fin_other : Tcp::established;
      if (!is_next) return Step::pass_aside;  // nothing new
      flow.replied = true;
      return Step::pass;
    }
    if (syn) return ack ? Step::drop : Step::pass;
    if (!ack) return Step::drop;
    if (outside) return Step::outside;
    flow.tcp = fin ? Tcp::fin_opener : Tcp::established;
    flow.replied = true;
    return Step::pass;
  }
  if (syn) {
    // Of a live connection: the other end answers with a challenge, or with its ACK again.
    if (from_opener != ack) return Step::pass_aside;
    return Step::drop;
  }
  if (!ack) return Step::drop;
  if (outside) return Step::outside;
  if (fin && flow.tcp != Tcp::reset) {
    const Tcp mine = from_opener ? Tcp::fin_opener : Tcp::fin_other;
    if (flow.tcp == Tcp::established) flow.tcp = mine;
    if (flow.tcp != mine) flow.tcp = Tcp::closing;
  }
  return Step::pass;
}

void FlowModel::note_numbers(Flow& flow, const SpokenPacket& packet, const RightNumbers& numbers) {
  if (packet.numbers == Numbers::outside) return;
  const auto side = static_cast<std::size_t>(direction_of(packet));
  const std::uint32_t payload = packet.piece ? packet.piece->size_bytes - 20 : packet.payload_bytes;
  std::uint32_t end = numbers.seq + payload;
  if (packet.tcp_flags & (kSyn | kFin)) ++end;
  if (packet.tcp_flags & kFin) flow.fin[side] = true;
  if (packet.tcp_flags & kSyn) flow.syn[side] = numbers.seq;
  const bool is_later = static_cast<std::int32_t>(end - flow.next[side]) > 0;
  // Of several SYNs the last one counts.
  const bool begins = (packet.tcp_flags & kSyn) && flow.tcp == Tcp::syn_sent;
  if (!flow.known[side] || is_later || begins) flow.next[side] = end;
  flow.known[side] = true;
}

void FlowModel::note_end(const SpokenPacket& first, std::uint32_t end) {
  const auto found = flows_.find(key_of(first));
  if (found == flows_.end()) return;
  std::uint32_t& next = found->second.next[static_cast<std::size_t>(direction_of(first))];
  if (static_cast<std::int32_t>(end - next) > 0) next = end;
}

bool FlowModel::leaves_open(const SpokenPacket& packet) const {
  if (packet.protocol != kTcp || !now_in_force_.zone_of_vlan.contains(packet.vlan)) return false;
  const auto found = flows_.find(key_of(packet));
  // A connection that nobody has seen has no window.
  if (found == flows_.end())
    return now_in_force_.adopt_s != 0 && packet.numbers == Numbers::outside;
  const Flow& flow = found->second;
  const bool from_opener = direction_of(packet) == flow.opener;
  const bool syn = packet.tcp_flags & kSyn, ack = packet.tcp_flags & kAck;
  const bool rst = packet.tcp_flags & kRst;
  // Both sides open at once; data in a SYN of a connection that there is.
  if (flow.tcp <= Tcp::syn_received && syn && from_opener == ack) return true;
  if (syn && packet.piece) return true;
  // What a window is worth of which little was seen.
  if (now_in_force_.rules_first && rst && flow.tcp != Tcp::syn_sent) return true;
  if (flow.has_jumped && syn && ack) return true;
  // After a refusal there is no connection whose window could be known.
  return flow.is_refused && !opens_tcp(packet);
}

RightNumbers FlowModel::numbers_for(const SpokenPacket& packet) const {
  const auto side = static_cast<std::size_t>(direction_of(packet));
  RightNumbers numbers{side == 0 ? 1'000'000u : 4'294'000'000u,
                       side == 0 ? 4'294'000'000u : 1'000'000u};
  if (!now_in_force_.zone_of_vlan.contains(packet.vlan)) return numbers;
  const auto found = flows_.find(key_of(packet));
  if (found == flows_.end()) return numbers;
  const Flow& flow = found->second;
  if (flow.known[side]) {
    numbers.seq = flow.next[side];
    // The same SYN again (or another one, once the first connection ends), the same FIN again.
    const bool syn = packet.tcp_flags & kSyn, fin = packet.tcp_flags & kFin;
    if (syn || (fin && flow.fin[side])) numbers.seq -= 1;
    if (syn && flow.tcp <= Tcp::syn_received) numbers.seq = flow.syn[side];
  }
  if (flow.known[1 - side]) numbers.ack = flow.next[1 - side];
  return numbers;
}

std::optional<rules::RuleRef> FlowModel::rule_in_its_direction(const SpokenPacket& packet,
                                                               rules::LbId lb) const {
  return rule_for(lb, direction_of(packet), packet.protocol, service_of(packet), remote_of(packet));
}

bool FlowModel::make_room(const Key& key) {
  if (now_in_force_.cells == 0) return true;
  const auto cells_of = [](const Key& one) { return one.local.family == Family::ipv4 ? 1u : 2u; };
  while (true) {
    std::uint32_t taken = 0;
    auto oldest = flows_.end();
    for (auto it = flows_.begin(); it != flows_.end(); ++it) {
      taken += cells_of(it->first);
      if (it->second.replied) continue;
      if (oldest == flows_.end() || it->second.number < oldest->second.number) oldest = it;
    }
    if (taken + cells_of(key) <= now_in_force_.cells) return true;
    if (oldest == flows_.end()) return false;
    flows_.erase(oldest);
  }
}

Outcome FlowModel::open(const Key& key, const SpokenPacket& packet, Outcome so_far,
                        const RightNumbers& numbers) {
  so_far.is_by_grace = false;
  const bool is_tcp = packet.protocol == kTcp;
  const auto rule = rule_in_its_direction(packet, so_far.lb);
  if (is_tcp ? !opens_tcp(packet) : is_echo_reply(packet)) {
    if (is_tcp && now_in_force_.rules_first && rule) return passed(so_far, FlowKind::none, {});
    if (auto adopted = adopt(key, packet, so_far, numbers)) return *adopted;
    return dropped(so_far, DropReason::no_flow);
  }
  if (!rule) return dropped(so_far, DropReason::no_rule);
  if (has_bad_checksum(packet)) return dropped(so_far, DropReason::bad_checksum);
  flows_.erase(key);
  if (!make_room(key)) return dropped(so_far, DropReason::flow_table_full);
  Flow flow;
  flow.opener = direction_of(packet);
  flow.service = service_of(packet);
  flow.rule = *rule;
  flow.seen = now_;
  flow.number = opened_++;
  if (is_tcp) note_numbers(flow, packet, numbers);
  flows_[key] = flow;
  revoked_.erase(key);
  return passed(so_far, FlowKind::fresh, *rule);
}

// Where the rules allow both, the smaller port is taken for the server's.
std::optional<Outcome> FlowModel::adopt(const Key& key, const SpokenPacket& packet, Outcome so_far,
                                        const RightNumbers& numbers) {
  const TimeMs end = first_publish_ + now_in_force_.adopt_s * TimeMs{1000};
  const bool is_mid_stream = (packet.tcp_flags & (kSyn | kRst)) == 0 && (packet.tcp_flags & kAck);
  if (packet.protocol != kTcp || now_ >= end || !is_mid_stream || revoked_.contains(key))
    return std::nullopt;
  const Direction there = direction_of(packet);
  const Direction back = packet.from_outside ? Direction::outbound : Direction::inbound;
  const auto rule = rule_in_its_direction(packet, so_far.lb);
  const auto reply_rule = rule_for(so_far.lb, back, kTcp, packet.source_port, remote_of(packet));
  if (!rule && !reply_rule) return std::nullopt;
  const bool from_opener = rule && !(reply_rule && packet.source_port < packet.destination_port);
  if (!make_room(key)) return dropped(so_far, DropReason::flow_table_full);
  Flow flow;
  flow.opener = from_opener ? there : back;
  flow.service = from_opener ? packet.destination_port : packet.source_port;
  flow.rule = from_opener ? *rule : *reply_rule;
  flow.seen = now_;
  flow.replied = true;
  flow.tcp = !(packet.tcp_flags & kFin) ? Tcp::established
             : from_opener              ? Tcp::fin_opener
                                        : Tcp::fin_other;
  note_numbers(flow, packet, numbers);
  flows_[key] = flow;
  return passed(so_far, FlowKind::adopted, flow.rule);
}

Outcome FlowModel::judge(const SpokenPacket& packet, Outcome so_far) {
  if (is_icmp(packet) && !is_echo_request(packet) && !is_echo_reply(packet))
    return judge_icmp(packet, so_far);
  const Key key = key_of(packet);
  const RightNumbers numbers = numbers_for(packet);
  const auto found = flows_.find(key);
  const bool is_tcp = packet.protocol == kTcp;
  if (now_in_force_.rules_first && is_tcp && (packet.tcp_flags & (kSyn | kFin | kRst)) == 0 &&
      rule_in_its_direction(packet, so_far.lb)) {
    // No stack sends data before it was answered.
    if (found != flows_.end() && found->second.tcp != Tcp::syn_sent)
      note_numbers(found->second, packet, numbers);
    return passed(so_far, FlowKind::none, {});
  }
  if (found == flows_.end()) return open(key, packet, so_far, numbers);
  Flow& flow = found->second;
  if (!survives(key, flow)) return dropped(so_far, DropReason::revoked);
  so_far.is_by_grace = flow.grace != Grace::none;
  const bool from_opener = direction_of(packet) == flow.opener;
  const bool is_first_reply = !is_tcp && !from_opener && !flow.replied;
  if (is_tcp) {
    if ((packet.tcp_flags & (kSyn | kFin | kRst)) && has_bad_checksum(packet))
      return dropped(so_far, DropReason::bad_checksum);
    switch (step(flow, packet)) {
      case Step::reopen:
        return open(key, packet, so_far, numbers);
      case Step::drop:
        return dropped(so_far, DropReason::no_flow);
      case Step::outside:
        return dropped(so_far, DropReason::tcp_window);
      case Step::pass_aside:
        return passed(so_far, FlowKind::established, flow.rule);
      case Step::pass:
        note_numbers(flow, packet, numbers);
    }
  } else if (is_icmp(packet)) {
    if (from_opener && is_echo_reply(packet)) return dropped(so_far, DropReason::no_flow);
    if (!from_opener && is_echo_request(packet)) return open(key, packet, so_far, numbers);
  }
  if (is_first_reply && has_bad_checksum(packet)) return dropped(so_far, DropReason::bad_checksum);
  if (is_first_reply) flow.replied = true;
  flow.seen = now_;
  return passed(so_far, FlowKind::established, flow.rule);
}

// ---- ICMP without a flow of its own ----

// The quoted packet travelled against the error: its sender is who the error is for.
std::optional<FlowModel::Key> FlowModel::quoted_key_of(const SpokenPacket& packet) const {
  if (!packet.quoted || packet.piece) return std::nullopt;
  const Quoted& quoted = *packet.quoted;
  SpokenPacket reversed;
  reversed.from_outside = !packet.from_outside;
  reversed.vlan = packet.vlan;
  reversed.source = quoted.source;
  reversed.destination = quoted.destination;
  reversed.protocol = quoted.protocol;
  reversed.source_port = quoted.source_port;
  reversed.destination_port = quoted.destination_port;
  reversed.echo_id = quoted.source_port;
  if (!(local_of(reversed) == local_of(packet))) return std::nullopt;
  return key_of(reversed);
}

Outcome FlowModel::judge_icmp(const SpokenPacket& packet, Outcome so_far) {
  if (is_error(packet)) {
    if (const auto key = quoted_key_of(packet)) {
      const auto found = flows_.find(*key);
      if (found != flows_.end()) {
        if (!survives(*key, found->second)) return dropped(so_far, DropReason::revoked);
        so_far.is_by_grace = found->second.grace != Grace::none;
        return passed(so_far, FlowKind::related, found->second.rule);
      }
    }
  }
  const auto rule = rule_in_its_direction(packet, so_far.lb);
  if (rule) return passed(so_far, FlowKind::none, *rule);
  return dropped(so_far, is_error(packet) ? DropReason::icmp_unrelated : DropReason::no_rule);
}

bool FlowModel::is_still_allowed(const SpokenPacket& first, const Outcome& outcome) {
  if (outcome.flow == FlowKind::none)
    return rule_in_its_direction(first,
                                 lb_of(now_in_force_.zone_of_vlan.at(first.vlan), local_of(first)))
        .has_value();
  const auto found = flows_.find(key_of(first));
  return found != flows_.end() && survives(found->first, found->second);
}

}  // namespace sluice::oracle
