// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow_owner.h"

#include <algorithm>

namespace sluice::dataplane {
namespace {

using rules::Address;

constexpr std::size_t kEthernetBytes = 14;
constexpr std::size_t kTagBytes = 4;

std::uint32_t load32(const std::uint8_t* bytes) noexcept {
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 |
         std::uint32_t{bytes[2]} << 8 | bytes[3];
}
std::uint64_t load64(const std::uint8_t* bytes) noexcept {
  return std::uint64_t{load32(bytes)} << 32 | load32(bytes + 4);
}

// Options and checksums are refused later, by the owner, if at all.
constexpr Settings kLenient = [] {
  Settings settings;
  settings.allow_ip_options = true;
  settings.verify_checksums = false;
  return settings;
}();

struct Pair {
  Address source;
  Address destination;
};

// The addresses of a frame that needs no parse to be sure of its owner. False: it does.
bool read_pair(const Frame& frame, Pair& pair) noexcept {
  if (frame.size < kEthernetBytes + kTagBytes) return false;
  const bool tagged = frame.bytes[12] == 0x81 && frame.bytes[13] == 0x00;
  const std::size_t start = kEthernetBytes + (tagged ? kTagBytes : 0);
  const std::uint8_t* ip = frame.bytes + start;
  const unsigned ethertype = unsigned{ip[-2]} << 8 | ip[-1];
  if (ethertype == 0x0800 && frame.size >= start + 20) {
    if (ip[9] == rules::kProtocolIcmp) return false;
    pair = {Address::ipv4(load32(ip + 12)), Address::ipv4(load32(ip + 16))};
    return true;
  }
  if (ethertype == 0x86dd && frame.size >= start + 40) {
    if (ip[6] != rules::kProtocolTcp && ip[6] != rules::kProtocolUdp) return false;
    pair = {Address::ipv6(load64(ip + 8), load64(ip + 16)),
            Address::ipv6(load64(ip + 24), load64(ip + 32))};
    return true;
  }
  return false;
}

std::uint16_t folded(const Address& address) noexcept {
  std::uint64_t words = address.high ^ address.low;
  words ^= words >> 32;
  words ^= words >> 16;
  return static_cast<std::uint16_t>(words);
}

}  // namespace

std::array<std::uint8_t, SymmetricRss::kKeyBytes> SymmetricRss::key() const noexcept {
  std::array<std::uint8_t, kKeyBytes> key{};
  for (std::size_t i = 0; i < key.size(); ++i)
    key[i] = static_cast<std::uint8_t>(i % 2 == 0 ? pattern >> 8 : pattern);
  return key;
}

FlowOwner::FlowOwner(unsigned workers, HashSecret secret) noexcept
    : workers_(workers), secret_(secret) {}

FlowOwner::FlowOwner(unsigned workers, const SymmetricRss& rss) noexcept
    : workers_(workers), is_rss_(true), table_size_(rss.table_size) {
  // Toeplitz: for every set bit of the input, from the left, the 32 bits of the key from there on.
  const auto key = rss.key();
  const std::uint64_t first = load64(key.data());
  for (unsigned byte = 0; byte < 2; ++byte)
    for (unsigned value = 0; value < 256; ++value)
      for (unsigned bit = 0; bit < 8; ++bit)
        if (value & (0x80u >> bit))
          toeplitz_[byte][value] ^= static_cast<std::uint32_t>(first >> (32 - 8 * byte - bit));
}

unsigned FlowOwner::of(const Frame& frame, const Ingress& ingress, unsigned self) const noexcept {
  if (workers_ == 1) return 0;
  Pair pair;
  if (read_pair(frame, pair)) return of_pair(pair.source, pair.destination);
  const Packet packet = parse(frame, ingress, kLenient);
  if (packet.has_embedded_key) {
    const rules::Family family = packet.key.family;
    return of_pair({packet.key.local_high, packet.key.local_low, family},
                   {packet.key.remote_high, packet.key.remote_low, family});
  }
  if (packet.kind == PacketKind::transport || packet.fragment.is_one)
    return of_pair(packet.local, packet.remote);
  return self;
}

unsigned FlowOwner::of_pair(const Address& one, const Address& other) const noexcept {
  if (is_rss_) {
    const unsigned fold = folded(one) ^ folded(other);
    const std::uint32_t hash = toeplitz_[0][fold >> 8] ^ toeplitz_[1][fold & 0xff];
    return hash % table_size_ % workers_;
  }
  const auto [low, high] = std::minmax(one, other);
  const FlowKey key{low.high, low.low, high.high, high.low, 0, 0, 0, 0, low.family};
  return static_cast<unsigned>(hash_of(key, secret_) % workers_);
}

}  // namespace sluice::dataplane
