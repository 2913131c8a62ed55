// SPDX-License-Identifier: Apache-2.0
//
// What the listeners and sessions of one HTTP server share.
//
// Owner: the server's thread; `io` takes posts from any.
#pragma once

#include <utility>  // before Asio 1.74, which forgets it

#include <boost/asio.hpp>
#include <random>
#include <set>

#include "control/http_server.h"

namespace sluice::control {

// A session that sends events instead of answers.
class HttpStream {
 public:
  virtual ~HttpStream() = default;
  virtual void send_events() = 0;
  virtual void send_heartbeat() = 0;
};

struct HttpContext {
  HttpHandler handler;
  HttpFault fault;
  std::size_t connections = 0;
  std::set<HttpStream*> streams;
  std::atomic<bool> woken{false};  // publishers: w, server: rw; a look at the streams is under way
  std::uint64_t next_request = std::random_device{}();
  boost::asio::io_context io{1};  // ends first: sessions that wait in it still count themselves off
};

}  // namespace sluice::control
