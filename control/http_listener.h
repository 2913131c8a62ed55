// SPDX-License-Identifier: Apache-2.0
//
// One address that is listened on: opens it and turns what comes into sessions.
#pragma once

#include "control/http_context.h"

namespace sluice::control {

class HttpListener {
 public:
  // "unix:PATH", "http://127.0.0.1:PORT", "https://ADDRESS:PORT". Errors: as HttpServer::open.
  [[nodiscard]] static rules::Result<std::unique_ptr<HttpListener>> open(
      HttpContext& context, const std::string& address);
  ~HttpListener();  // takes a UNIX socket's file away
  HttpListener(const HttpListener&) = delete;
  HttpListener& operator=(const HttpListener&) = delete;

  void accept();

 private:
  explicit HttpListener(HttpContext& context) : context_(context), acceptor_(context.io) {}
  [[nodiscard]] rules::Result<void> open_unix(const std::string& path);
  [[nodiscard]] rules::Result<void> open_tcp(const std::string& host, const std::string& port);
  template <class Endpoint>
  [[nodiscard]] rules::Result<void> listen(const Endpoint& endpoint, const std::string& what);

  HttpContext& context_;
  boost::asio::basic_socket_acceptor<boost::asio::generic::stream_protocol> acceptor_;
  boost::asio::steady_timer timer_{context_.io};
  bool is_tcp_ = false;
  bool with_tls_ = false;
  std::string path_;
};

}  // namespace sluice::control
