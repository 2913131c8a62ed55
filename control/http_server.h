// SPDX-License-Identifier: Apache-2.0
//
// HTTP/1.1 over UNIX sockets and loopback TCP: bytes to requests and answers to bytes, no meaning.
//
// Owner:  one thread of its own; a slow or silent client keeps nobody else waiting.
// Limits: kHeaderBytesMax, kBodyBytesMax, kConnectionsMax, kIdleSeconds.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rules/result.h"

namespace sluice::control {

inline constexpr std::uint32_t kHeaderBytesMax = 16u << 10;
inline constexpr std::uint64_t kBodyBytesMax = 4u << 20;
inline constexpr std::size_t kConnectionsMax = 1024;
inline constexpr int kIdleSeconds = 30;

struct HttpRequest {
  std::string method;
  std::string path;                          // decoded, without the query
  std::map<std::string, std::string> query;  // decoded; of equal names the last counts
  std::string body;
  std::string if_match;
  std::string actor = "local";  // who asks
};

struct HttpAnswer {
  unsigned status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::string etag;
  std::string allow;  // for 405
};

// Calls `answer` once, from any thread, now or later.
using HttpHandler =
    std::function<void(const HttpRequest& request, std::function<void(HttpAnswer)> answer)>;
// The body of an answer that the server gives by itself (too large, not HTTP, …).
using HttpFault = std::function<std::string(unsigned status, const std::string& message)>;

class HttpServer {
 public:
  // Addresses: "unix:/path" and "http://127.0.0.1:8080", "http://[::1]:8080".
  // Errors: system or invalid, the address named (taken; beyond loopback, which needs TLS).
  [[nodiscard]] static rules::Result<std::unique_ptr<HttpServer>> open(
      const std::vector<std::string>& addresses, HttpHandler handler, HttpFault fault);
  ~HttpServer();  // closes all; answers under way are lost

  void start();

 private:
  struct Parts;
  explicit HttpServer(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace sluice::control
