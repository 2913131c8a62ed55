// SPDX-License-Identifier: Apache-2.0
//
// What the listeners and sessions of one HTTP server share.
//
// Owner: the server's thread; `io` takes posts from any.
#pragma once

#include <utility>  // before Asio 1.74, which forgets it

#include <atomic>
#include <boost/asio.hpp>
#include <optional>
#include <random>
#include <set>

#include "control/auth.h"
#include "control/http_peers.h"
#include "control/http_server.h"
#include "control/tls.h"

namespace sluice::control {

// A session that sends events instead of answers.
class HttpStream {
 public:
  virtual ~HttpStream() = default;
  virtual void send_events() = 0;
  virtual void send_heartbeat() = 0;
};

struct HttpContext {
  explicit HttpContext(HttpOptions chosen) : options(std::move(chosen)) {}

  const HttpOptions options;
  HttpHandler handler;
  HttpFault fault;
  HttpAdmit admit;

  std::optional<Tokens> tokens;
  std::optional<UnixPeers> unix_peers;
  std::optional<TlsCertificate> certificate;

  HttpPeers peers{options};
  HttpCounts counts;
  std::uint64_t body_bytes = 0;  // of requests under way
  std::set<HttpStream*> streams;
  std::atomic<bool> woken{false};  // publishers: w, server: rw; a look at the streams is under way
  std::uint64_t next_request = std::random_device{}();
  boost::asio::io_context io{1};  // ends first: sessions that wait in it still count themselves off
};

}  // namespace sluice::control
