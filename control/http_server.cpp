// SPDX-License-Identifier: Apache-2.0
#include "control/http_server.h"

#include <utility>  // before Asio 1.74, which forgets it

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <list>
#include <optional>
#include <random>
#include <thread>

namespace sluice::control {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Protocol = asio::generic::stream_protocol;
using Stream = beast::basic_stream<Protocol>;
using rules::ErrorCode;
using rules::fail;
using rules::Result;

std::optional<std::string> decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i] == '+' ? ' ' : text[i];
      continue;
    }
    unsigned value = 0;
    if (i + 2 >= text.size()) return std::nullopt;
    const auto [end, error] = std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16);
    if (error != std::errc{} || end != text.data() + i + 3) return std::nullopt;
    out += static_cast<char>(value);
    i += 2;
  }
  return out;
}

// False: the target is not decodable.
bool read_target(std::string_view target, HttpRequest& request) {
  const std::size_t mark = target.find('?');
  const auto path = decode(target.substr(0, mark));
  if (!path) return false;
  request.path = *path;
  std::string_view query = mark == std::string_view::npos ? "" : target.substr(mark + 1);
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    const auto name = decode(pair.substr(0, equals));
    const auto value = decode(pair.substr(std::min(equals + 1, pair.size())));
    if (!name || !value) return false;
    request.query[*name] = *value;
  }
  return true;
}

// A page of another site must not drive the API by a name that it lets point to 127.0.0.1.
bool is_loopback_host(std::string_view host) {
  for (std::string_view name : {"127.0.0.1", "localhost", "[::1]"})
    if (host == name || (host.starts_with(name) && host[name.size()] == ':')) return true;
  return host.starts_with("127.");
}

struct Context {
  HttpHandler handler;
  HttpFault fault;
  std::size_t connections = 0;
  std::uint64_t next_request = std::random_device{}();
  asio::io_context io{1};  // ends first: sessions that wait in it still count themselves off
};

// One connection; lives as long as an operation on it is under way.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Context& context, Protocol::socket socket, bool is_tcp)
      : context_(context), stream_(std::move(socket)), is_tcp_(is_tcp) {
    ++context_.connections;
  }
  ~Session() { --context_.connections; }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void read() {
    parser_.emplace();
    parser_->header_limit(kHeaderBytesMax);
    parser_->body_limit(kBodyBytesMax);
    stream_.expires_after(std::chrono::seconds(kIdleSeconds));
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](beast::error_code error, std::size_t) {
                       self->on_read(error);
                     });
  }

 private:
  void on_read(beast::error_code error) {
    if (error == http::error::end_of_stream || error == beast::error::timeout) return close();
    if (error == http::error::body_limit) {
      return refuse(413, fmt::format("The body is larger than {} MiB.", kBodyBytesMax >> 20));
    }
    if (error == http::error::header_limit) {
      return refuse(431, fmt::format("The header is larger than {} KiB.", kHeaderBytesMax >> 10));
    }
    if (error && error.category() == make_error_code(http::error::bad_target).category())
      return refuse(400, "That is not HTTP/1.1: " + error.message() + ".");
    if (error) return close();

    const auto& message = parser_->get();
    HttpRequest request;
    request.method = std::string(message.method_string());
    keep_alive_ = message.keep_alive();
    is_head_ = request.method == "HEAD";
    if (is_tcp_ && !is_loopback_host(std::string_view(message[http::field::host].data(),
                                                      message[http::field::host].size())))
      return refuse(403, "The Host header must name this machine's loopback address.");
    if (!read_target({message.target().data(), message.target().size()}, request))
      return refuse(400, "The path or query is not well encoded.");
    request.body = message.body();
    request.if_match = std::string(message[http::field::if_match]);
    stream_.expires_never();
    // The answer may come from the publisher's thread; all else happens on ours.
    context_.handler(request, [self = shared_from_this()](HttpAnswer answer) {
      asio::post(self->context_.io,
                 [self, answer = std::move(answer)]() mutable { self->write(std::move(answer)); });
    });
  }

  void refuse(unsigned status, const std::string& message) {
    keep_alive_ = false;
    write({status, context_.fault(status, message), "application/json", "", ""});
  }

  void write(HttpAnswer answer) {
    response_ = {};
    response_.version(11);
    response_.result(answer.status);
    response_.set(http::field::server, "sluice");
    response_.set(http::field::content_type, answer.content_type);
    response_.set("X-Request-Id", fmt::format("{:016x}", context_.next_request++));
    response_.set(http::field::cache_control, "no-store");
    if (!answer.etag.empty()) response_.set(http::field::etag, answer.etag);
    if (!answer.allow.empty()) response_.set(http::field::allow, answer.allow);
    response_.keep_alive(keep_alive_);
    response_.content_length(answer.body.size());
    if (!is_head_) response_.body() = std::move(answer.body);
    stream_.expires_after(std::chrono::seconds(kIdleSeconds));
    http::async_write(stream_, response_,
                      [self = shared_from_this()](beast::error_code error, std::size_t) {
                        if (error || !self->keep_alive_) return self->close();
                        self->read();
                      });
  }

  void close() {
    beast::error_code ignored;
    stream_.socket().shutdown(Protocol::socket::shutdown_send, ignored);
  }

  Context& context_;
  Stream stream_;
  bool is_tcp_;
  bool keep_alive_ = false;
  bool is_head_ = false;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
};

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

class Listener {
 public:
  Listener(Context& context, bool is_tcp)
      : context_(context), acceptor_(context.io), is_tcp_(is_tcp) {}
  ~Listener() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  Result<void> open_unix(const std::string& path) {
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

  Result<void> open_tcp(const std::string& host, const std::string& port) {
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

  void accept() {
    acceptor_.async_accept([this](boost::system::error_code error, Protocol::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (!error && context_.connections < kConnectionsMax) {
        std::make_shared<Session>(context_, std::move(socket), is_tcp_)->read();
        return accept();
      }
      if (!error) return accept();  // too many: closed at once
      // Out of descriptors or memory: wait, rather than spin.
      timer_.expires_after(std::chrono::milliseconds(100));
      timer_.async_wait([this](boost::system::error_code stopped) {
        if (!stopped) accept();
      });
    });
  }

 private:
  template <class Endpoint>
  Result<void> listen(const Endpoint& endpoint, const std::string& what) {
    boost::system::error_code error;
    acceptor_.open(Protocol(endpoint.protocol()), error);
    if (!error && is_tcp_) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(Protocol::endpoint(endpoint), error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (!error) return {};
    return fail(ErrorCode::system, fmt::format("{} cannot be listened on ({}); give another --api",
                                               what, error.message()));
  }

  Context& context_;
  asio::basic_socket_acceptor<Protocol> acceptor_;
  asio::steady_timer timer_{context_.io};
  bool is_tcp_;
  std::string path_;
};

Result<void> open_address(const std::string& address, Context& context,
                          std::list<Listener>& listeners) {
  if (address.starts_with("unix:")) {
    listeners.emplace_back(context, false);
    return listeners.back().open_unix(address.substr(5));
  }
  const std::size_t colon = address.rfind(':');
  if (!address.starts_with("http://") || colon <= 7) {
    return fail(
        ErrorCode::invalid,
        fmt::format("API address \"{}\": write unix:PATH or http://127.0.0.1:PORT", address));
  }
  std::string host = address.substr(7, colon - 7);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  listeners.emplace_back(context, true);
  return listeners.back().open_tcp(host == "localhost" ? "127.0.0.1" : host,
                                   address.substr(colon + 1));
}

}  // namespace

struct HttpServer::Parts {
  Context context;
  std::list<Listener> listeners;
  std::thread thread;
};

HttpServer::HttpServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

HttpServer::~HttpServer() {
  parts_->context.io.stop();
  if (parts_->thread.joinable()) parts_->thread.join();
}

Result<std::unique_ptr<HttpServer>> HttpServer::open(const std::vector<std::string>& addresses,
                                                     HttpHandler handler, HttpFault fault) {
  auto parts = std::make_unique<Parts>();
  parts->context.handler = std::move(handler);
  parts->context.fault = std::move(fault);
  for (const std::string& address : addresses) {
    if (auto opened = open_address(address, parts->context, parts->listeners); !opened)
      return tl::unexpected(opened.error());
  }
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(parts)));
}

void HttpServer::start() {
  for (Listener& listener : parts_->listeners) listener.accept();
  parts_->thread = std::thread([parts = parts_.get()] {
    while (!parts->context.io.stopped()) {
      try {
        parts->context.io.run();
      } catch (const std::exception& exception) {
        spdlog::error("a connection failed: {}", exception.what());
      }
    }
  });
}

}  // namespace sluice::control
