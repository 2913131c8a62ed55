// SPDX-License-Identifier: Apache-2.0
#include "control/http_listener.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

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
  listener->with_tls_ = address.starts_with("https://");
  const std::size_t begin = listener->with_tls_ ? 8 : 7;
  Result<void> opened;
  const std::size_t colon = address.rfind(':');
  if (address.starts_with("unix:")) {
    opened = listener->open_unix(address.substr(5));
  } else if ((listener->with_tls_ || address.starts_with("http://")) && colon > begin) {
    std::string host = address.substr(begin, colon - begin);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    opened =
        listener->open_tcp(host == "localhost" ? "127.0.0.1" : host, address.substr(colon + 1));
  } else {
    return fail(ErrorCode::invalid,
                fmt::format("API address \"{}\": write unix:PATH, http://127.0.0.1:PORT or "
                            "https://ADDRESS:PORT",
                            address));
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
  const auto folder = std::filesystem::path(path).parent_path();
  std::error_code ignored;  // the socket's own error will tell
  if (!folder.empty()) std::filesystem::create_directories(folder, ignored);
  ::unlink(path.c_str());  // left by a daemon that was killed
  const asio::local::stream_protocol::endpoint endpoint(path);
  const mode_t mask = ::umask(0117);  // 0660 from the first moment
  auto done = listen(endpoint, "API socket " + path);
  ::umask(mask);
  if (!done) return done;
  path_ = path;
  const gid_t group = context_.unix_peers->group();
  if (group != ::getegid() && ::chown(path.c_str(), static_cast<uid_t>(-1), group) != 0) {
    return fail(ErrorCode::system, fmt::format("API socket {} cannot be given to group {} ({})",
                                               path, group, std::strerror(errno)));
  }
  return {};
}

Result<void> HttpListener::open_tcp(const std::string& host, const std::string& port) {
  is_tcp_ = true;
  const std::string_view scheme = with_tls_ ? "https" : "http";
  boost::system::error_code error;
  const auto address = asio::ip::make_address(host, error);
  unsigned number = 0;
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error || parsed.ptr != port.data() + port.size() || port.empty() || number > 65535) {
    return fail(ErrorCode::invalid,
                fmt::format("API address {}://{}:{}: an IP address and a port from 0 to 65535 are "
                            "needed",
                            scheme, host, port));
  }
  if (with_tls_ && !context_.certificate) {
    return fail(ErrorCode::invalid,
                fmt::format("API address https://{}:{} needs a certificate: --api-cert FILE and "
                            "--api-key FILE",
                            host, port));
  }
  if (!address.is_loopback() && !with_tls_) {
    return fail(ErrorCode::invalid,
                fmt::format("API address {} is beyond loopback, which needs TLS: write "
                            "https://{}:{} with --api-cert and --api-key, or http://127.0.0.1:{}",
                            host, host, port, port));
  }
  if (!address.is_loopback() && !context_.tokens) {
    return fail(ErrorCode::invalid,
                fmt::format("API address {} is beyond loopback, where nobody could say who they "
                            "are without tokens: give --api-tokens FILE",
                            host));
  }
  return listen(asio::ip::tcp::endpoint(address, static_cast<std::uint16_t>(number)),
                fmt::format("API address {}://{}:{}", scheme, host, port));
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
      serve(context_, std::move(socket), with_tls_);
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
