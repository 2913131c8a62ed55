// SPDX-License-Identifier: Apache-2.0
#include "tests/scenarios/scenario.h"

#include <sstream>
#include <stdexcept>

namespace sluice::tests {
namespace {

using rules::Json;

struct Endpoint {
  std::string address;
  std::uint16_t port = 0;
};

Endpoint endpoint_of(const std::string& text, bool has_port) {
  if (!has_port) return {text, 0};
  const std::size_t colon = text.rfind(':');
  std::string address = text.substr(0, colon);
  if (address.front() == '[') address = address.substr(1, address.size() - 2);
  return {address, static_cast<std::uint16_t>(std::stoul(text.substr(colon + 1)))};
}

Bytes bytes_of(const std::string& hex) {
  Bytes bytes;
  std::string digits;
  for (char c : hex)
    if (c != ' ') digits += c;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
    bytes.push_back(static_cast<std::uint8_t>(std::stoul(digits.substr(i, 2), nullptr, 16)));
  return bytes;
}

std::uint8_t flags_of(const std::string& letters) {
  std::uint8_t flags = 0;
  for (char c : letters) flags |= static_cast<std::uint8_t>(1 << std::string("FSRPAU").find(c));
  return flags;
}

constexpr std::uint32_t kFirst = 1000;  // number of every SYN

}  // namespace

void Conversations::number(PacketBuilder& packet, const Json& step, const std::string& from,
                           const std::string& to) {
  const std::string zone = step.value("vlan", Json()).dump() + " ";
  const std::string forth = zone + from + " > " + to, back = zone + to + " > " + from;
  const std::string flags = step.value("flags", "");
  const bool syn = flags.find('S') != std::string::npos;
  const auto next = [&](const std::string& way) {
    const auto known = next_.find(way);
    return known == next_.end() ? kFirst : known->second;
  };
  const auto plus = [&](const char* name) {
    return static_cast<std::uint32_t>(step.value(name, std::int64_t{0}));
  };
  const std::uint32_t seq = syn ? kFirst : next(forth);
  packet.numbers(seq + plus("seq_plus"), next(back) + plus("ack_plus"));
  packet.window(step.value("window", std::uint16_t{65535}));
  if (step.contains("scale")) packet.scale(step["scale"].get<std::uint8_t>());
  const auto payload = step.value("payload", std::uint32_t{0});
  packet.payload(payload);
  last_ = forth;
  last_next_ = seq + payload + (syn ? 1 : 0) + (flags.find('F') != std::string::npos ? 1 : 0);
}

void Conversations::advance() {
  if (!last_.empty()) next_[last_] = last_next_;
}

PacketBuilder Conversations::builder_of(const Json& step) {
  std::istringstream words(step.at("packet").get<std::string>());
  std::string kind, from, arrow, to;
  words >> kind >> from >> arrow >> to;
  const bool has_port = kind == "tcp" || kind == "udp" || kind == "sctp";
  const Endpoint source = endpoint_of(from, has_port), destination = endpoint_of(to, has_port);
  PacketBuilder packet(source.address, destination.address);
  const auto field = [&](const char* name) {
    return static_cast<std::uint16_t>(step.value(name, 0));
  };
  last_.clear();
  if (kind == "tcp") {
    packet.tcp(source.port, destination.port, flags_of(step.value("flags", "")));
    number(packet, step, from, to);
  } else if (kind == "udp")
    packet.udp(source.port, destination.port, step.value("payload", 4u));
  else if (kind == "sctp")
    packet.sctp(source.port, destination.port);
  else if (kind == "icmp")
    packet.icmp(field("type"), field("code"), field("id"));
  else if (kind == "ip")
    packet.protocol(field("protocol"), bytes_of(step.value("hex", "")));
  else if (kind == "error")
    packet.icmp_error(field("type"), field("code"),
                      Conversations().builder_of(step.at("about")).ip());
  else
    throw std::runtime_error("unknown kind of packet: " + kind);

  if (step.contains("vlan")) {
    const Json ids = step["vlan"].is_array() ? step["vlan"] : Json::array({step["vlan"]});
    for (const Json& id : ids) packet.vlan(id.get<std::uint16_t>());
  }
  if (step.contains("hop_limit")) packet.hop_limit(field("hop_limit"));
  if (step.value("options", false)) packet.ipv4_options();
  if (step.value("bad_checksum", false)) packet.bad_checksum();
  if (step.value("bad_transport_checksum", false)) packet.bad_transport_checksum();
  if (step.contains("fragment"))
    packet.fragment(step["fragment"].at("offset").get<std::uint16_t>(),
                    step["fragment"].value("more", false),
                    step["fragment"].value("id", std::uint32_t{7}));
  if (step.contains("data")) packet.payload_of_fragment(bytes_of(step["data"]));
  for (const Json& extension : step.value("extensions", Json::array()))
    packet.extension(extension.at("type").get<std::uint8_t>(),
                     bytes_of(extension.value("hex", "")));
  return packet;
}

Bytes Conversations::frame_of(const Json& step) {
  last_.clear();
  const std::string text = step.at("packet").get<std::string>();
  Bytes frame;
  if (text == "raw") {
    frame = bytes_of(step.at("hex"));
  } else if (text.starts_with("arp ")) {
    std::istringstream words(text);
    std::string kind, sender, arrow, target;
    words >> kind >> sender >> arrow >> target;
    frame = arp_frame(static_cast<std::uint16_t>(step.value("operation", 1)), sender, target);
  } else {
    frame = builder_of(step).frame();
  }
  if (step.contains("ethertype")) {
    frame[12] = static_cast<std::uint8_t>(step["ethertype"].get<unsigned>() >> 8);
    frame[13] = static_cast<std::uint8_t>(step["ethertype"].get<unsigned>());
  }
  const Json patch = step.value("patch", Json::object());
  for (const auto& [offset, byte] : patch.items())
    frame.at(std::stoul(offset)) = byte.get<std::uint8_t>();
  frame.resize(frame.size() - step.value("cut", std::size_t{0}));
  return frame;
}

}  // namespace sluice::tests
