// SPDX-License-Identifier: Apache-2.0
#include "control/http_listener.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>

#include "control/http_session.h"

namespace sluice::control {
namespace {

namespace asio = boost::asio;
using Protocol = asio::generic::stream_protocol;
using rules::ErrorCode;
using rules::fail;
using rules::Result;

// Something accepts on that path, or a file is there that is no socket.
bool is_taken(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return false;
  if (!S_ISSOCK(info.st_mode)) return true;
  asio::io_context io;
  asio::local::stream_protocol::socket probe(io);
  boost::system::error_code error;
  probe.connect(asio::local::stream_protocol::endpoint(path), error);
  return !error;
}

}  // namespace

Result<std::unique_ptr<HttpListener>> HttpListener::open(HttpContext& context,
                                                         const std::string& address) {
  std::unique_ptr<HttpListener> listener(new HttpListener(context));
  Result<void> opened;
  const std::size_t colon = address.rfind(':');
  if (address.starts_with("unix:")) {
    opened = listener->open_unix(address.substr(5));
  } else if (address.starts_with("http://") && colon > 7) {
    std::string host = address.substr(7, colon - 7);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    opened =
        listener->open_tcp(host == "localhost" ? "127.0.0.1" : host, address.substr(colon + 1));
  } else {
    return fail(
        ErrorCode::invalid,
        fmt::format("API address \"{}\": write unix:PATH or http://127.0.0.1:PORT", address));
  }
  if (!opened) return tl::unexpected(opened.error());
  return listener;
}

HttpListener::~HttpListener() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

Result<void> HttpListener::open_unix(const std::string& path) {
  if (path.empty() || path.size() > 107) {
    return fail(ErrorCode::invalid,
                fmt::format("API socket \"{}\": a path of 1 to 107 bytes is needed", path));
  }
  if (is_taken(path)) {
    return fail(ErrorCode::system,
                fmt::format("API socket {} is taken: another sluiced listens there, or it is no "
                            "socket; stop that one or give another --api",
                            path));
  }
  ::unlink(path.c_str());  // left by a daemon that was killed
  const asio::local::stream_protocol::endpoint endpoint(path);
  const mode_t mask = ::umask(0117);  // 0660 from the first moment
  auto done = listen(endpoint, "API socket " + path);
  ::umask(mask);
  if (done) path_ = path;
  return done;
}

Result<void> HttpListener::open_tcp(const std::string& host, const std::string& port) {
  is_tcp_ = true;
  boost::system::error_code error;
  const auto address = asio::ip::make_address(host, error);
  unsigned number = 0;
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error || parsed.ptr != port.data() + port.size() || port.empty() || number > 65535) {
    return fail(ErrorCode::invalid,
                fmt::format("API address {}:{}: write http://127.0.0.1:PORT", host, port));
  }
  if (!address.is_loopback()) {
    return fail(ErrorCode::invalid,
                fmt::format("API address {} is beyond loopback, which needs TLS, and this "
                            "version has none; use http://127.0.0.1:{} and a TLS proxy",
                            host, port));
  }
  return listen(asio::ip::tcp::endpoint(address, static_cast<std::uint16_t>(number)),
                fmt::format("API address {}:{}", host, port));
}

template <class Endpoint>
Result<void> HttpListener::listen(const Endpoint& endpoint, const std::string& what) {
  boost::system::error_code error;
  acceptor_.open(Protocol(endpoint.protocol()), error);
  if (!error && is_tcp_) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor_.bind(Protocol::endpoint(endpoint), error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (!error) return {};
  return fail(ErrorCode::system, fmt::format("{} cannot be listened on ({}); give another --api",
                                             what, error.message()));
}

void HttpListener::accept() {
  acceptor_.async_accept([this](boost::system::error_code error, Protocol::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (!error) {
      // Too many: closed at once.
      if (context_.connections < kConnectionsMax) serve(context_, std::move(socket), is_tcp_);
      return accept();
    }
    // Out of descriptors or memory: wait, rather than spin.
    timer_.expires_after(std::chrono::milliseconds(100));
    timer_.async_wait([this](boost::system::error_code stopped) {
      if (!stopped) accept();
    });
  });
}

}  // namespace sluice::control
