// SPDX-License-Identifier: Apache-2.0
//
// HTTP/1.1 over UNIX sockets, loopback TCP and TLS: bytes to requests and answers to bytes, and who
// it is that asks; what a request means is the routes'.
//
// Owner:  one thread of its own; a slow or silent client keeps nobody else waiting.
// Limits: http_options.h.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "control/http_counts.h"
#include "control/http_message.h"
#include "control/http_options.h"
#include "rules/result.h"

namespace sluice::control {

// Calls `answer` once, from any thread, now or later.
using HttpHandler = std::function<void(const HttpRequest& request, Respond answer)>;
// The body of an answer that the server gives by itself (too large, not HTTP, …).
using HttpFault = std::function<std::string(unsigned status, const std::string& message)>;

// Asked when a request's head is there; empty: every request may come, with kBodyBytesMax.
using HttpAdmit = std::function<HttpAdmission(const HttpRequest& head)>;

class HttpServer {
 public:
  // Addresses: "unix:/path", "http://127.0.0.1:8080", "http://[::1]:8080", "https://0.0.0.0:8443".
  // Errors: system or invalid, the address or file named (taken; beyond loopback, which needs TLS
  // and tokens).
  [[nodiscard]] static rules::Result<std::unique_ptr<HttpServer>> open(
      const std::vector<std::string>& addresses, HttpHandler handler, HttpFault fault,
      HttpAdmit admit = {}, HttpOptions options = {});
  ~HttpServer();  // closes all; answers under way are lost

  void start();

  [[nodiscard]] const HttpCounts& counts() const;
  // Has every event stream look for new events; for EventHub::on_publish. Any thread, never
  // blocks, may be called after the server's end.
  [[nodiscard]] std::function<void()> stream_waker() const;

 private:
  struct Parts;
  explicit HttpServer(std::shared_ptr<Parts> parts);
  std::shared_ptr<Parts> parts_;
};

}  // namespace sluice::control
