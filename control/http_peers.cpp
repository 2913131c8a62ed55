// SPDX-License-Identifier: Apache-2.0
#include "control/http_peers.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>

namespace sluice::control {
namespace {

std::string text_of(int family, const void* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  return ::inet_ntop(family, address, text.data(), text.size()) == nullptr ? "" : text.data();
}

}  // namespace

HttpPeer peer_of_tcp(const sockaddr* address) {
  HttpPeer peer;
  peer.is_tcp = true;
  if (address->sa_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in*>(address)->sin_addr;
    peer.key = peer.name = text_of(AF_INET, &v4);
    peer.is_loopback = (ntohl(v4.s_addr) >> 24) == 127;
  } else if (address->sa_family == AF_INET6) {
    in6_addr v6 = reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
    peer.name = text_of(AF_INET6, &v6);
    peer.is_loopback = IN6_IS_ADDR_LOOPBACK(&v6);
    if (IN6_IS_ADDR_V4MAPPED(&v6)) {
      peer.key = text_of(AF_INET, &v6.s6_addr[12]);
      peer.is_loopback = v6.s6_addr[12] == 127;
    } else {
      std::fill(v6.s6_addr + 8, v6.s6_addr + 16, std::uint8_t{0});  // a host owns its /64
      peer.key = text_of(AF_INET6, &v6);
    }
  }
  return peer;
}

bool HttpPeers::connect(const HttpPeer& peer) {
  const std::size_t all = options_.connections_max;
  if (connections_ >= all) return false;
  if (peer.is_tcp && tcp_connections_ >= all - all / 4) return false;
  std::size_t& own = connections_by_peer_[peer.key];
  if (own >= std::max<std::size_t>(all / 2, 1)) return false;
  ++own;
  ++connections_;
  tcp_connections_ += peer.is_tcp ? 1 : 0;
  return true;
}

void HttpPeers::disconnect(const HttpPeer& peer) {
  const auto own = connections_by_peer_.find(peer.key);
  if (--own->second == 0) connections_by_peer_.erase(own);
  --connections_;
  tcp_connections_ -= peer.is_tcp ? 1 : 0;
}

bool HttpPeers::request(const HttpPeer& peer) {
  if (options_.requests_max == 0) return true;
  const auto now = std::chrono::steady_clock::now();
  const double full = options_.requests_max;
  const auto filled = [&](const Bucket& bucket) {
    const double seconds = std::chrono::duration<double>(now - bucket.filled).count();
    return std::min(full, bucket.left + seconds * full);
  };
  // Who has rested is as good as new. Should all be busy, they are: forgetting favours them once.
  if (buckets_.size() >= kPeersMax && !buckets_.contains(peer.key)) {
    std::erase_if(buckets_, [&](const auto& entry) { return filled(entry.second) >= full; });
    if (buckets_.size() >= kPeersMax) buckets_.clear();
  }
  Bucket& bucket = buckets_.try_emplace(peer.key, Bucket{full, now}).first->second;
  bucket.left = filled(bucket);
  bucket.filled = now;
  if (bucket.left < 1) return false;
  bucket.left -= 1;
  return true;
}

}  // namespace sluice::control
