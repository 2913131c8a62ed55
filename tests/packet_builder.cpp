// SPDX-License-Identifier: Apache-2.0
#include "tests/packet_builder.h"

#include <algorithm>

namespace sluice::tests {
namespace {

void put16(Bytes& bytes, std::size_t value) {
  bytes.push_back(static_cast<std::uint8_t>(value >> 8));
  bytes.push_back(static_cast<std::uint8_t>(value));
}
void put32(Bytes& bytes, std::size_t value) {
  put16(bytes, value >> 16);
  put16(bytes, value);
}
void put_address(Bytes& bytes, const rules::Address& address) {
  const int size = address.family == rules::Family::ipv4 ? 4 : 16;
  for (int i = size - 1; i >= 0; --i)
    bytes.push_back(static_cast<std::uint8_t>(address.value() >> (8 * i)));
}
void append(Bytes& bytes, const Bytes& more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}
std::uint16_t checksum(const Bytes& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2)
    sum += static_cast<std::uint32_t>(bytes[i] * 256 + (i + 1 < bytes.size() ? bytes[i + 1] : 0));
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

constexpr std::uint8_t kFragmentHeader = 44;

}  // namespace

PacketBuilder::PacketBuilder(const std::string& source, const std::string& destination)
    : source_(rules::parse_address(source).value()),
      destination_(rules::parse_address(destination).value()) {}

PacketBuilder& PacketBuilder::tcp(std::uint16_t from, std::uint16_t to, std::uint8_t flags) {
  protocol_ = 6;
  transport_.clear();
  put16(transport_, from);
  put16(transport_, to);
  put32(transport_, 1000);
  put32(transport_, 2000);
  transport_.push_back(5 << 4);
  transport_.push_back(flags);
  put16(transport_, 65535);
  put32(transport_, 0);
  return *this;
}

PacketBuilder& PacketBuilder::numbers(std::uint32_t seq, std::uint32_t ack) {
  Bytes bytes;
  put32(bytes, seq);
  put32(bytes, ack);
  std::copy(bytes.begin(), bytes.end(), transport_.begin() + 4);
  return *this;
}
PacketBuilder& PacketBuilder::window(std::uint16_t window) {
  transport_[14] = static_cast<std::uint8_t>(window >> 8);
  transport_[15] = static_cast<std::uint8_t>(window);
  return *this;
}
PacketBuilder& PacketBuilder::scale(std::uint8_t shift) {
  transport_[12] = 6 << 4;
  append(transport_, {1, 3, 3, shift});
  return *this;
}
PacketBuilder& PacketBuilder::payload(std::size_t bytes) {
  transport_.resize(transport_.size() + bytes, 0xab);
  return *this;
}

PacketBuilder& PacketBuilder::udp(std::uint16_t from, std::uint16_t to, std::size_t payload) {
  protocol_ = 17;
  transport_.clear();
  put16(transport_, from);
  put16(transport_, to);
  put16(transport_, 8 + payload);
  put16(transport_, 0);
  transport_.resize(8 + payload, 0xab);
  return *this;
}

PacketBuilder& PacketBuilder::sctp(std::uint16_t from, std::uint16_t to) {
  protocol_ = 132;
  transport_.clear();
  put16(transport_, from);
  put16(transport_, to);
  transport_.resize(16, 0);
  return *this;
}

PacketBuilder& PacketBuilder::icmp(std::uint8_t type, std::uint8_t code, std::uint16_t id) {
  protocol_ = source_.family == rules::Family::ipv4 ? 1 : 58;
  transport_ = {type, code, 0, 0};
  put16(transport_, id);
  put16(transport_, 1);
  transport_.resize(32, 0);
  return *this;
}

PacketBuilder& PacketBuilder::icmp_error(std::uint8_t type, std::uint8_t code,
                                         const Bytes& quoted) {
  icmp(type, code, 0);
  transport_.resize(8);
  append(transport_, quoted);
  return *this;
}

PacketBuilder& PacketBuilder::protocol(std::uint8_t number, Bytes payload) {
  protocol_ = number;
  transport_ = std::move(payload);
  return *this;
}

PacketBuilder& PacketBuilder::vlan(std::uint16_t id) {
  vlans_.push_back(id);
  return *this;
}
PacketBuilder& PacketBuilder::hop_limit(std::uint8_t limit) {
  hop_limit_ = limit;
  return *this;
}
PacketBuilder& PacketBuilder::ipv4_options() {
  options_ = true;
  return *this;
}
PacketBuilder& PacketBuilder::extension(std::uint8_t type, Bytes body) {
  extensions_.emplace_back(type, std::move(body));
  return *this;
}
PacketBuilder& PacketBuilder::fragment(std::uint16_t offset, bool more, std::uint32_t id) {
  fragment_ = Fragment{offset, more, id};
  return *this;
}
PacketBuilder& PacketBuilder::payload_of_fragment(Bytes bytes) {
  transport_ = std::move(bytes);
  return *this;
}
PacketBuilder& PacketBuilder::bad_checksum() {
  bad_checksum_ = true;
  return *this;
}

PacketBuilder& PacketBuilder::bad_transport_checksum() {
  bad_transport_checksum_ = true;
  return *this;
}

// With its checksum, where it has one and is no fragment's (RFC 9293 §3.1, 768, 792, 4443 §2.3).
Bytes PacketBuilder::summed_transport() const {
  Bytes bytes = transport_;
  const std::size_t at = protocol_ == 6                      ? 16
                         : protocol_ == 17                   ? 6
                         : protocol_ == 1 || protocol_ == 58 ? 2
                                                             : bytes.size();
  const bool is_piece = fragment_ && (fragment_->more || fragment_->offset_bytes != 0);
  if (is_piece || at + 2 > bytes.size()) return bytes;
  Bytes summed;
  if (protocol_ != 1) {
    put_address(summed, source_);
    put_address(summed, destination_);
    put32(summed, bytes.size());
    put32(summed, protocol_);
  }
  bytes[at] = bytes[at + 1] = 0;
  append(summed, bytes);
  std::uint16_t sum = checksum(summed);
  if (protocol_ == 17 && sum == 0) sum = 0xffff;
  if (bad_transport_checksum_) sum ^= 0x0110;
  bytes[at] = static_cast<std::uint8_t>(sum >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(sum);
  return bytes;
}

Bytes PacketBuilder::ip() const {
  const Bytes transport = summed_transport();
  Bytes bytes;
  if (source_.family == rules::Family::ipv4) {
    const std::size_t header = options_ ? 24 : 20;
    bytes = {static_cast<std::uint8_t>(0x40 + header / 4), 0};
    put16(bytes, header + transport.size());
    put16(bytes, fragment_ ? fragment_->id : 1);
    put16(bytes, fragment_ ? fragment_->offset_bytes / 8 + (fragment_->more ? 0x2000 : 0) : 0);
    bytes.push_back(hop_limit_);
    bytes.push_back(protocol_);
    put16(bytes, 0);
    put_address(bytes, source_);
    put_address(bytes, destination_);
    if (options_) append(bytes, {7, 4, 4, 0});  // record route, with no room
    const std::uint16_t sum = checksum(bytes) ^ (bad_checksum_ ? 0x0100 : 0);
    bytes[10] = static_cast<std::uint8_t>(sum >> 8);
    bytes[11] = static_cast<std::uint8_t>(sum);
    append(bytes, transport);
    return bytes;
  }
  // Type of each header, then what it stands before.
  std::vector<std::pair<std::uint8_t, Bytes>> chain = extensions_;
  if (fragment_) {
    Bytes body;
    put16(body, fragment_->offset_bytes + (fragment_->more ? 1 : 0));
    put32(body, fragment_->id);
    chain.emplace_back(kFragmentHeader, body);
  }
  Bytes rest;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    Bytes header{i + 1 < chain.size() ? chain[i + 1].first : protocol_, 0};
    append(header, chain[i].second);
    if (chain[i].first != kFragmentHeader) {
      header.resize((header.size() + 7) / 8 * 8, 0);
      header[1] = static_cast<std::uint8_t>(header.size() / 8 - 1);
    }
    append(rest, header);
  }
  append(rest, transport);
  bytes = {0x60, 0, 0, 0};
  put16(bytes, rest.size());
  bytes.push_back(chain.empty() ? protocol_ : chain[0].first);
  bytes.push_back(hop_limit_);
  put_address(bytes, source_);
  put_address(bytes, destination_);
  append(bytes, rest);
  return bytes;
}

Bytes PacketBuilder::frame() const {
  Bytes bytes{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
  for (std::uint16_t id : vlans_) {
    put16(bytes, 0x8100);
    put16(bytes, id);
  }
  put16(bytes, source_.family == rules::Family::ipv4 ? 0x0800 : 0x86dd);
  append(bytes, ip());
  if (bytes.size() < 60) bytes.resize(60, 0);
  return bytes;
}

Bytes arp_frame(std::uint16_t operation, const std::string& sender, const std::string& target) {
  Bytes bytes{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 8, 6, 0, 1, 8, 0, 6, 4};
  put16(bytes, operation);
  append(bytes, {2, 0, 0, 0, 0, 2});
  put_address(bytes, rules::parse_address(sender).value());
  append(bytes, {0, 0, 0, 0, 0, 0});
  put_address(bytes, rules::parse_address(target).value());
  bytes.resize(60, 0);
  return bytes;
}

}  // namespace sluice::tests
