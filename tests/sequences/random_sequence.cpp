// SPDX-License-Identifier: Apache-2.0
//
// Random sequences that get somewhere: conversations as stacks hold them, several at a time, with
// noise, fragments, floods and table changes in between.
#include <algorithm>
#include <array>
#include <deque>

#include "tests/sequences/sequence.h"
#include "tests/sequences/world.h"

namespace sluice::sequences {
namespace {

using oracle::Defect;
using oracle::Numbers;
using oracle::SpokenPacket;
using rules::Family;

constexpr std::uint8_t kFin = 1, kSyn = 2, kRst = 4, kPsh = 8, kAck = 16;

class Author {
 public:
  Author(const Choose& choose, const NodeOptions& options) : choose_(choose), options_(options) {}

  Event next() {
    if (scripts_.size() < 4 || chance(4)) begin_script();
    if (chance(30)) return timed(with_flaw(noise()));
    const std::size_t which = choose_(scripts_.size());
    auto& script = scripts_[which];
    Event event = timed(with_flaw(script.front()));
    // Lost, or sent twice.
    if (!chance(10)) script.pop_front();
    if (script.empty()) scripts_.erase(scripts_.begin() + static_cast<std::ptrdiff_t>(which));
    return event;
  }

  // Of everything, or of a part of what the last one made.
  Change change() {
    Change change = last_;
    for (auto& rules : change.rules) {
      if (chance(40)) continue;
      const std::uint64_t drawn = choose_(std::uint64_t{1} << 32);
      rules = pick(drawn, drawn, rules | drawn, rules & drawn);
      // "All" makes a dull table.
      if (!chance(10)) rules &= ~0xc000c000ull;
    }
    if (chance(30)) change.attached[choose_(3)] = static_cast<std::uint32_t>(choose_(4));
    if (chance(10)) change.renumbered = static_cast<std::uint32_t>(choose_(3));
    change.fate =
        pick(oracle::Fate::cut, oracle::Fate::cut, oracle::Fate::keep, oracle::Fate::drain);
    change.drain_s = static_cast<std::uint32_t>(5 + choose_(30));
    last_ = change;
    return change;
  }
  bool chance(unsigned percent) { return choose_(100) < percent; }

 private:
  using Script = std::deque<SpokenPacket>;

  template <typename Value, typename... Others>
  Value pick(Value first, Others... others) {
    const std::array<Value, 1 + sizeof...(others)> all{first, static_cast<Value>(others)...};
    return all[choose_(all.size())];
  }

  Event timed(SpokenPacket packet) {
    Event event;
    event.packet = packet;
    if (chance(10)) event.wait_ms = pick(1u, 50u, 199u, 200u, 1000u, 2000u);
    if (chance(3))
      event.wait_ms = pick(9000u, 12'000u, 29'000u, 31'500u, 59'000u, 62'000u, 125'000u);
    if (choose_(400) == 0) event.wait_ms = pick(190'000u, 650'000u, 7'500'000u);
    return event;
  }

  // Between a host outside and a load balancer, or two load balancers; either may begin.
  SpokenPacket endpoints() {
    const Cast& cast = cast_of(chance(60) ? Family::ipv4 : Family::ipv6);
    SpokenPacket packet;
    packet.from_outside = chance(60);
    packet.vlan = chance(15) ? 5 : 0;
    const auto local = cast.load_balancers[packet.vlan == 5 ? 0 : choose_(2)];
    auto remote = cast.hosts[choose_(cast.hosts.size())];
    if (chance(5)) remote = cast.load_balancers[local == cast.load_balancers[0] ? 1 : 0];
    packet.source = packet.from_outside ? remote : local;
    packet.destination = packet.from_outside ? local : remote;
    return packet;
  }
  std::uint16_t service_port() { return pick<std::uint16_t>(80, 80, 443, 53, 40000); }
  std::uint16_t client_port() { return pick<std::uint16_t>(40000, 40001, 80); }

  static SpokenPacket reversed(SpokenPacket packet) {
    packet.from_outside = !packet.from_outside;
    std::swap(packet.source, packet.destination);
    std::swap(packet.source_port, packet.destination_port);
    return packet;
  }

  void begin_script() {
    SpokenPacket packet = endpoints();
    packet.source_port = client_port();
    packet.destination_port = service_port();
    Script script;
    switch (choose_(8)) {
      case 0:
      case 1:
      case 2:
        script = tcp_script(packet);
        break;
      case 3:
        script = udp_script(packet);
        break;
      case 4:
        script = echo_script(packet);
        break;
      case 5:
        script = fragment_script(packet);
        break;
      case 6:
        script = flood_script(packet);
        break;
      default:
        packet.protocol = pick<std::uint8_t>(47, 132);
        if (packet.protocol == 47) packet.source_port = packet.destination_port = 0;
        script = {packet, reversed(packet), packet};
    }
    scripts_.push_back(std::move(script));
  }

  Script tcp_script(SpokenPacket packet) {
    packet.protocol = 6;
    const SpokenPacket back = reversed(packet);
    Script script;
    const auto say = [&](SpokenPacket what, std::uint8_t flags, std::uint16_t payload = 0) {
      what.tcp_flags = flags;
      what.payload_bytes = payload;
      script.push_back(what);
    };
    say(packet, kSyn);
    if (chance(5)) return say(back, kRst | kAck), script;
    say(back, kSyn | kAck);
    say(packet, kAck);
    for (std::uint64_t i = choose_(5); i > 0; --i) {
      say(chance(50) ? packet : back, kPsh | kAck, static_cast<std::uint16_t>(1 + choose_(1000)));
      say(chance(50) ? packet : back, kAck);
    }
    if (chance(30)) {
      say(chance(50) ? packet : back, kRst | (chance(50) ? kAck : 0));
    } else {
      const bool opener_first = chance(50);
      say(opener_first ? packet : back, kFin | kAck);
      say(opener_first ? back : packet, kAck);
      say(opener_first ? back : packet, kFin | kAck);
      say(opener_first ? packet : back, kAck);
    }
    return script;
  }

  Script udp_script(SpokenPacket packet) {
    packet.protocol = 17;
    Script script{packet};
    for (std::uint64_t i = choose_(4); i > 0; --i)
      script.push_back(chance(50) ? packet : reversed(packet));
    return script;
  }

  Script echo_script(SpokenPacket packet) {
    const bool v6 = packet.source.family == Family::ipv6;
    packet.protocol = v6 ? 58 : 1;
    packet.source_port = packet.destination_port = 0;
    packet.echo_id = static_cast<std::uint16_t>(choose_(3));
    packet.icmp_type = v6 ? 128 : 8;
    SpokenPacket reply = reversed(packet);
    reply.icmp_type = v6 ? 129 : 0;
    return {packet, reply, packet, reply};
  }

  // A datagram in pieces, or what somebody would like to pass for one.
  Script fragment_script(SpokenPacket packet) {
    const bool v6 = packet.source.family == Family::ipv6;
    packet.protocol = pick<std::uint8_t>(17, 17, 17, 6, v6 ? 58 : 1, 132, 47);
    if (packet.protocol == 47) packet.source_port = packet.destination_port = 0;
    if (packet.protocol == 6) packet.tcp_flags = chance(70) ? kSyn : kAck;
    if (packet.protocol == 1 || packet.protocol == 58) {
      packet.icmp_type = v6 ? 128 : 8;
      packet.source_port = packet.destination_port = 0;
    }
    const auto id = static_cast<std::uint32_t>(choose_(4));
    Script script;
    const std::uint64_t pieces = 2 + choose_(3);
    std::uint32_t offset = 0;
    for (std::uint64_t i = 0; i < pieces; ++i) {
      const bool more = i + 1 < pieces;
      std::uint32_t size = static_cast<std::uint32_t>(24 + 8 * choose_(3));
      if (!more) size -= static_cast<std::uint32_t>(choose_(8));
      packet.piece = {id, offset, size, more};
      script.push_back(packet);
      offset += size;
    }
    if (chance(40)) std::swap(script[choose_(pieces)], script[choose_(pieces)]);
    if (chance(30)) std::reverse(script.begin(), script.end());
    if (chance(30)) script.push_back(script[choose_(pieces)]);
    if (chance(25)) spoil(*script[choose_(script.size())].piece);
    return script;
  }

  void spoil(oracle::Piece& piece) {
    switch (choose_(6)) {
      case 0:
        piece.offset_bytes = piece.offset_bytes < 8 ? 0 : piece.offset_bytes - 8;
        break;
      case 1:
        piece.offset_bytes = pick(8u, 16u, 65528u, 65520u);
        break;
      case 2:
        piece.size_bytes = static_cast<std::uint32_t>(1 + choose_(40));
        break;
      case 3:
        piece.more = !piece.more;
        break;
      case 4:
        piece.size_bytes += 8;
        break;
      default:
        piece.id ^= 1;
    }
    // Offset 0 and no more to follow is a whole packet.
    if (piece.offset_bytes == 0) piece.more = true;
  }

  // Many of one kind.
  Script flood_script(SpokenPacket packet) {
    packet.protocol = pick<std::uint8_t>(6, 17);
    packet.tcp_flags = kSyn;
    const bool in_pieces = chance(50);
    Script script;
    for (std::uint64_t i = 0; i < 8 + choose_(16); ++i) {
      packet.source_port = static_cast<std::uint16_t>(50'000 + i);
      if (in_pieces)
        packet.piece = {static_cast<std::uint32_t>(100 + choose_(3)),
                        static_cast<std::uint32_t>(24 + 24 * i), 24, true};
      script.push_back(packet);
    }
    return script;
  }

  // Whatever may come by.
  SpokenPacket noise() {
    SpokenPacket packet = endpoints();
    packet.source_port = client_port();
    packet.destination_port = service_port();
    if (chance(30)) packet = reversed(packet);
    const bool v6 = packet.source.family == Family::ipv6;
    switch (choose_(6)) {
      case 0:
      case 1:
        packet.protocol = 6;
        packet.tcp_flags =
            pick<std::uint8_t>(kSyn, kAck, kPsh | kAck, kFin | kAck, kRst, kRst | kAck);
        if (packet.tcp_flags == (kPsh | kAck)) packet.payload_bytes = 10;
        if (packet.tcp_flags != kSyn && chance(30)) packet.numbers = Numbers::outside;
        break;
      case 2:
        packet.protocol = 17;
        break;
      case 3:
        packet.protocol = v6 ? 58 : 1;
        packet.icmp_type = v6 ? pick<std::uint8_t>(128, 129, 139) : pick<std::uint8_t>(8, 0, 13);
        packet.icmp_code = packet.icmp_type == 139 || packet.icmp_type == 13 ? 1 : 0;
        packet.echo_id = static_cast<std::uint16_t>(choose_(3));
        packet.source_port = packet.destination_port = 0;
        break;
      case 4:
        return error_about(packet);
      default:
        return fragment_script(packet).front();
    }
    return packet;
  }

  // An ICMP error about a packet that its receiver sent, or so it says.
  SpokenPacket error_about(SpokenPacket packet) {
    const bool v6 = packet.source.family == Family::ipv6;
    oracle::Quoted quoted{packet.destination, packet.source, pick<std::uint8_t>(6, 17, v6 ? 58 : 1),
                          packet.destination_port, packet.source_port};
    if (quoted.protocol == 1 || quoted.protocol == 58) {
      quoted.source_port = static_cast<std::uint16_t>(choose_(3));
      quoted.destination_port = 0;
    }
    // From a router on the way; or about a packet of somebody else.
    const Cast& cast = cast_of(packet.source.family);
    if (packet.from_outside && chance(50)) packet.source = cast.hosts[2];
    if (chance(10)) quoted.source = cast.hosts[1];
    packet.protocol = v6 ? 58 : 1;
    packet.source_port = packet.destination_port = 0;
    packet.icmp_type = v6 ? pick<std::uint8_t>(1, 2, 3, 4) : pick<std::uint8_t>(3, 11, 12);
    packet.icmp_code = 1;
    packet.quoted = quoted;
    return packet;
  }

  SpokenPacket with_flaw(SpokenPacket packet) {
    if (!chance(4)) return packet;
    const bool v4 = packet.source.family == Family::ipv4;
    const bool has_ports = packet.protocol == 6 || packet.protocol == 17;
    switch (choose_(7)) {
      case 6:
        if (has_ports && !packet.piece) packet.defect = Defect::transport_checksum;
        break;
      case 0:
        if (v4) packet.defect = Defect::header_checksum;
        break;
      case 1:
        if (v4) packet.defect = Defect::options;
        if (!v4 && !packet.piece) packet.defect = Defect::extensions;
        break;
      case 2:
        if (packet.protocol == 6) packet.defect = Defect::flags;
        break;
      case 3:
        if (has_ports) packet.defect = Defect::port;
        break;
      case 4:
        packet.vlan = pick<std::uint16_t>(7, 5, 0);
        break;
      default:
        (packet.from_outside ? packet.destination : packet.source) =
            cast_of(packet.source.family).nobody;
        if (packet.quoted) packet.quoted->source = packet.destination;
    }
    return packet;
  }

  const Choose& choose_;
  NodeOptions options_;
  std::vector<Script> scripts_;
  // Before the first change: some of either group.
  Change last_{{0x00ff00ff, 0x0ff00ff0}, {1, 3, 2}, 0, oracle::Fate::cut, 10};
};

}  // namespace

Sequence random_sequence(const Choose& choose, std::size_t events) {
  Sequence sequence;
  sequence.options = {choose(8) == 0, choose(4) == 0, choose(3) == 0,
                      choose(3) == 0 ? std::uint32_t{60} : std::uint32_t{0}, 0};
  // Whom a change has ended is remembered while connections are adopted, which takes room too.
  if (sequence.options.adopt_s == 0 && choose(3) == 0)
    sequence.options.cells = static_cast<std::uint32_t>(2 + choose(16));
  Author author(choose, sequence.options);
  sequence.begin = author.change();
  while (sequence.events.size() < events) {
    if (choose(60) == 0) {
      Event event;
      event.change = author.change();
      sequence.events.push_back(event);
    } else {
      sequence.events.push_back(author.next());
    }
  }
  return sequence;
}

}  // namespace sluice::sequences
