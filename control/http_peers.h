// SPDX-License-Identifier: Apache-2.0
//
// Who is at the other end of a connection, and what each of them takes of the server.
//
// Owner: the server's thread. Limits: kPeersMax peers are remembered.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <map>
#include <string>

#include "control/http_options.h"

namespace sluice::control {

struct HttpPeer {
  std::string key;   // one peer for the limits: "uid 1000", "192.0.2.1", an IPv6 /64
  std::string name;  // for people
  bool is_tcp = false;
  bool is_loopback = false;
};

[[nodiscard]] HttpPeer peer_of_tcp(const sockaddr* address);

class HttpPeers {
 public:
  explicit HttpPeers(const HttpOptions& options) : options_(options) {}

  // One more connection of that peer; false: it has as many as it may, or all have. The network
  // may take three quarters of all, one peer half: an operator on the UNIX socket still gets in.
  [[nodiscard]] bool connect(const HttpPeer& peer);
  void disconnect(const HttpPeer& peer);

  // One more request; false: too many in this second.
  [[nodiscard]] bool request(const HttpPeer& peer);

  [[nodiscard]] std::size_t connections() const { return connections_; }

 private:
  struct Bucket {
    double left;
    std::chrono::steady_clock::time_point filled;
  };
  const HttpOptions& options_;
  std::size_t connections_ = 0;
  std::size_t tcp_connections_ = 0;
  std::map<std::string, std::size_t> connections_by_peer_;
  std::map<std::string, Bucket> buckets_;
};

}  // namespace sluice::control
