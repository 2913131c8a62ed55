// SPDX-License-Identifier: Apache-2.0
#include "tests/sequences/frame.h"

#include <sstream>

#include "tests/sequences/sequence.h"

namespace sluice::sequences {
namespace {

using oracle::Defect;
using oracle::Numbers;
using oracle::SpokenPacket;
using rules::Family;
using tests::Bytes;
using tests::PacketBuilder;

constexpr std::uint32_t kFarAway = 3u << 29;  // beyond the largest window

void add_transport(PacketBuilder& builder, const SpokenPacket& packet,
                   const oracle::RightNumbers& numbers) {
  const std::uint16_t to = packet.defect == Defect::port ? 0 : packet.destination_port;
  switch (packet.protocol) {
    case 6:
      builder.tcp(packet.source_port, to,
                  packet.defect == Defect::flags ? std::uint8_t{0} : packet.tcp_flags);
      builder.payload(packet.payload_bytes);
      builder.numbers(numbers.seq + (packet.numbers == Numbers::outside ? kFarAway : 0),
                      numbers.ack + (packet.numbers == Numbers::outside ? kFarAway : 0));
      break;
    case 17:
      builder.udp(packet.source_port, to, packet.payload_bytes);
      break;
    case 132:
      builder.sctp(packet.source_port, to);
      break;
    case 1:
    case 58:
      if (packet.quoted) {
        const auto& quoted = *packet.quoted;
        PacketBuilder inner(quoted.source, quoted.destination);
        if (quoted.protocol == 6) inner.tcp(quoted.source_port, quoted.destination_port, 16);
        if (quoted.protocol == 17) inner.udp(quoted.source_port, quoted.destination_port);
        if (quoted.protocol == 1 || quoted.protocol == 58)
          inner.icmp(quoted.protocol == 1 ? 8 : 128, 0, quoted.source_port);
        builder.icmp_error(packet.icmp_type, packet.icmp_code, inner.ip());
      } else {
        builder.icmp(packet.icmp_type, packet.icmp_code, packet.echo_id);
      }
      break;
    default:
      builder.protocol(packet.protocol, Bytes(24, 0xee));
  }
}

}  // namespace

Bytes frame_of(const SpokenPacket& packet, const oracle::RightNumbers& numbers) {
  PacketBuilder builder(packet.source, packet.destination);
  add_transport(builder, packet, numbers);
  if (packet.piece) {
    const auto& piece = *packet.piece;
    // Bytes of a later fragment look like the ports that every rule allows.
    Bytes data(piece.size_bytes, 0);
    for (std::size_t i = 1; i < data.size(); i += 2) data[i] = 53;
    if (piece.offset_bytes == 0) {
      const Bytes whole = builder.ip();
      const std::size_t header = packet.source.family == Family::ipv4 ? 20 : 40;
      data.assign(whole.begin() + static_cast<std::ptrdiff_t>(header), whole.end());
      data.resize(piece.size_bytes, 0xab);
    }
    builder.fragment(static_cast<std::uint16_t>(piece.offset_bytes), piece.more, piece.id);
    builder.payload_of_fragment(data);
  }
  if (packet.vlan != 0) builder.vlan(packet.vlan);
  if (packet.defect == Defect::header_checksum) builder.bad_checksum();
  if (packet.defect == Defect::transport_checksum) builder.bad_transport_checksum();
  if (packet.defect == Defect::options) builder.ipv4_options();
  if (packet.defect == Defect::extensions)
    for (int i = 0; i < 9; ++i) builder.extension(60, {});
  return builder.frame();
}

std::string to_text(const SpokenPacket& packet) {
  static constexpr const char* kDefects[] = {
      "", "bad header checksum", "bad checksum", "options", "9 extensions", "no flags", "port 0"};
  std::ostringstream text;
  text << (packet.from_outside ? "outside" : "inside ");
  if (packet.vlan != 0) text << " vlan " << packet.vlan;
  text << " protocol " << int{packet.protocol} << " " << rules::to_string(packet.source) << ":"
       << packet.source_port << " > " << rules::to_string(packet.destination) << ":"
       << packet.destination_port;
  if (packet.protocol == 6) {
    text << " flags ";
    for (int bit = 0; bit < 6; ++bit)
      if (packet.tcp_flags >> bit & 1) text << "FSRPAU"[bit];
    if (packet.payload_bytes != 0) text << " payload " << packet.payload_bytes;
    if (packet.numbers == oracle::Numbers::outside) text << " outside its window";
  }
  if (packet.protocol == 1 || packet.protocol == 58)
    text << " type " << int{packet.icmp_type} << " code " << int{packet.icmp_code} << " id "
         << packet.echo_id;
  if (packet.quoted)
    text << " about protocol " << int{packet.quoted->protocol} << " "
         << rules::to_string(packet.quoted->source) << ":" << packet.quoted->source_port << " > "
         << rules::to_string(packet.quoted->destination) << ":" << packet.quoted->destination_port;
  if (packet.piece)
    text << " fragment " << packet.piece->id << " offset " << packet.piece->offset_bytes << " size "
         << packet.piece->size_bytes << (packet.piece->more ? " more" : " last");
  if (packet.defect != Defect::none) text << ", " << kDefects[static_cast<int>(packet.defect)];
  return text.str();
}

std::string to_text(const Sequence& sequence) {
  std::ostringstream text;
  text << std::hex << "rules " << sequence.begin.rules[0] << " " << sequence.begin.rules[1]
       << std::dec << (sequence.options.pass_unknown_addresses ? ", pass unknown" : "")
       << (sequence.options.allow_ip_options ? ", allow options" : "")
       << (sequence.options.rules_first ? ", rules first" : "") << ", adopt "
       << sequence.options.adopt_s << " s, room for " << sequence.options.cells << "\n";
  for (std::size_t i = 0; i < sequence.events.size(); ++i) {
    const Event& event = sequence.events[i];
    text << i << ": +" << event.wait_ms << " ms ";
    if (event.change) {
      static constexpr const char* kFates[] = {"cut", "keep", "drain"};
      text << "publish rules " << std::hex << event.change->rules[0] << " "
           << event.change->rules[1] << std::dec << " moved by " << event.change->renumbered
           << " attached " << event.change->attached[0] << event.change->attached[1]
           << event.change->attached[2] << " " << kFates[static_cast<int>(event.change->fate)];
    } else {
      text << to_text(event.packet);
    }
    text << "\n";
  }
  return text.str();
}

}  // namespace sluice::sequences
