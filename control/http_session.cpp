// SPDX-License-Identifier: Apache-2.0
#include "control/http_session.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <limits>
#include <sstream>

#include "control/http_gate.h"
#include "control/http_target.h"
#include "rules/printable.h"

namespace sluice::control {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Clock = std::chrono::steady_clock;
using Protocol = asio::generic::stream_protocol;
using PlainStream = beast::basic_stream<Protocol>;
using TlsStream = beast::ssl_stream<PlainStream>;

constexpr std::size_t kEventBytesAtOnce = 64u << 10;
constexpr std::size_t kBufferKept = 16u << 10;
constexpr std::size_t kLingerBytesMax = 4u << 20;

template <class Stream>
class Session final : public HttpStream, public std::enable_shared_from_this<Session<Stream>> {
 public:
  Session(HttpContext& context, Stream stream, HttpPeer peer, Identity unix_identity)
      : context_(context),
        stream_(std::move(stream)),
        peer_(std::move(peer)),
        unix_identity_(std::move(unix_identity)) {}
  ~Session() override {
    release_body();
    leave_streams();
    context_.peers.disconnect(peer_);
    context_.counts.connections = context_.peers.connections();
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void start() {
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      lowest().expires_after(kHandshakeTime);
      stream_.async_handshake(asio::ssl::stream_base::server,
                              [self = this->shared_from_this()](beast::error_code error) {
                                if (!error) self->read_head();
                              });
    } else {
      read_head();
    }
  }

  void send_events() override {
    if (is_writing_) return;
    if (std::string events = events_->take(kEventBytesAtOnce); !events.empty())
      send(std::move(events));
  }
  void send_heartbeat() override {
    if (!is_writing_) send(":\n\n");
  }

 private:
  PlainStream& lowest() { return beast::get_lowest_layer(stream_); }

  void read_head() {
    parser_.emplace();
    parser_->header_limit(kHeaderBytesMax);
    // The limit of the body follows when the head tells the route. (Not boost::none, which this
    // Beast compares as less than every length.)
    parser_->body_limit(std::numeric_limits<std::uint64_t>::max());
    lowest().expires_after(kIdleTime);
    http::async_read_header(stream_, buffer_, *parser_,
                            [self = this->shared_from_this()](
                                beast::error_code error, std::size_t) { self->on_head(error); });
  }

  void on_head(beast::error_code error) {
    begin_ = Clock::now();
    request_ = {};
    request_.id = fmt::format("{:016x}", context_.next_request++);
    if (error) return on_broken(error);
    const auto& message = parser_->get();
    request_.method = std::string(message.method_string());
    keep_alive_ = message.keep_alive();
    for (const auto& field : message)
      request_.headers.emplace_back(field.name_string(), field.value());
    request_.if_match = std::string(request_.header("If-Match"));
    if (!read_target({message.target().data(), message.target().size()}, request_))
      return refuse(400, "The path or query is not well encoded.");
    HttpAdmission admission = admit(context_, peer_, unix_identity_, request_);
    if (admission.refusal) return refuse(std::move(*admission.refusal));
    if (parser_->is_done()) return handle();
    take_body(admission.body_bytes_max);
  }

  void take_body(std::uint64_t bytes_max) {
    const auto length = parser_->content_length();
    body_bytes_max_ = bytes_max;
    if (length && *length > bytes_max) return refuse(413, too_large());
    body_bytes_ = length ? *length : bytes_max;
    if (context_.body_bytes + body_bytes_ > kBodiesBytesMax) {
      body_bytes_ = 0;
      return refuse(503, "Too many large requests at once; try again in a moment.",
                    {{"Retry-After", "1"}});
    }
    context_.body_bytes += body_bytes_;
    parser_->body_limit(bytes_max);
    if (beast::iequals(parser_->get()[http::field::expect], "100-continue")) return invite_body();
    read_body();
  }

  // RFC 9110 §10.1.1: the client waits for a word before it sends its body.
  void invite_body() {
    out_ = "HTTP/1.1 100 Continue\r\n\r\n";
    lowest().expires_after(kWriteTime);
    asio::async_write(stream_, asio::buffer(out_),
                      [self = this->shared_from_this()](beast::error_code error, std::size_t) {
                        if (!error) self->read_body();
                      });
  }

  void read_body() {
    lowest().expires_after(kIdleTime + std::chrono::seconds(body_bytes_ / kBodyBytesPerSecond));
    http::async_read(stream_, buffer_, *parser_,
                     [self = this->shared_from_this()](beast::error_code error, std::size_t) {
                       if (error) return self->on_broken(error);
                       self->handle();
                     });
  }

  void on_broken(beast::error_code error) {
    if (error == http::error::end_of_stream || error == beast::error::timeout) return close();
    if (error == http::error::body_limit) return refuse(413, too_large());
    if (error == http::error::header_limit) {
      return refuse(431, fmt::format("The header is larger than {} KiB.", kHeaderBytesMax >> 10));
    }
    if (error.category() == make_error_code(http::error::bad_target).category())
      return refuse(400, "That is not HTTP/1.1: " + error.message() + ".");
    close();
  }

  [[nodiscard]] std::string too_large() const {
    return fmt::format("The body is larger than the {} KiB this path takes.",
                       body_bytes_max_ >> 10);
  }

  void handle() {
    if (refusal_) return answer(std::move(*std::exchange(refusal_, std::nullopt)));
    request_.body = std::move(parser_->get().body());
    lowest().expires_never();
    // The answer may come from the publisher's thread; all else happens on ours.
    context_.handler(request_, [lent = lend()](HttpAnswer answer) {
      asio::post(lent->context_.io,
                 [self = lent->shared_from_this(), answer = std::move(answer)]() mutable {
                   self->answer(std::move(answer));
                 });
    });
  }

  // Ourselves for another thread: should that one let go last, we still end on ours.
  std::shared_ptr<Session> lend() {
    return {this, [self = this->shared_from_this()](Session*) mutable {
              auto& io = self->context_.io;
              asio::post(io, [self = std::move(self)] {});
            }};
  }

  // Broken or not to be read on: the connection ends.
  void refuse(unsigned status, const std::string& message, HttpHeaders headers = {}) {
    keep_alive_ = false;
    HttpAnswer refusal;
    refusal.status = status;
    refusal.body = context_.fault(status, message);
    refusal.headers = std::move(headers);
    answer(std::move(refusal));
  }

  // The connection goes on where little is still to come of the request.
  void refuse(HttpAnswer refusal) {
    if (parser_->is_done()) return answer(std::move(refusal));
    const auto length = parser_->content_length();
    const bool waits = parser_->get().count(http::field::expect) != 0;
    if (!length || *length > kRefusedBodyBytesMax || waits) {
      keep_alive_ = false;
      return answer(std::move(refusal));
    }
    refusal_ = std::move(refusal);
    parser_->body_limit(kRefusedBodyBytesMax);
    read_body();
  }

  void answer(HttpAnswer answer) {
    const bool is_head = request_.method == "HEAD";
    const bool is_stream = answer.stream != nullptr;
    release_body();
    set_head(answer);
    note(answer.status);
    if (is_stream && !is_head) return begin_stream(std::move(answer.stream));
    // RFC 9110 §15.4.5: a 304 has no body, and no length of one.
    if (!is_stream && answer.status != 304) response_.content_length(answer.body.size());
    if (!is_head && answer.status != 304) response_.body() = std::move(answer.body);
    lowest().expires_after(kWriteTime +
                           std::chrono::seconds(response_.body().size() / kBodyBytesPerSecond));
    http::async_write(stream_, response_,
                      [self = this->shared_from_this()](beast::error_code error, std::size_t) {
                        self->on_answered(error);
                      });
  }

  void set_head(HttpAnswer& answer) {
    if (answer.stream != nullptr) {
      keep_alive_ = false;  // the end of the connection is the end of the events
      answer.content_type = "text/event-stream";
    }
    response_ = {};
    response_.version(11);
    response_.result(answer.status);
    response_.set(http::field::server, "sluice");
    if (!answer.content_type.empty()) response_.set(http::field::content_type, answer.content_type);
    response_.set("X-Request-Id", request_.id);
    response_.set(http::field::cache_control, "no-store");
    response_.set("X-Content-Type-Options", "nosniff");
    if (!answer.etag.empty()) response_.set(http::field::etag, answer.etag);
    if (!answer.allow.empty()) response_.set(http::field::allow, answer.allow);
    for (const auto& [name, value] : answer.headers) response_.set(name, value);
    response_.keep_alive(keep_alive_);
  }

  void note(unsigned status) {
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin_);
    context_.counts.add(status, static_cast<std::uint64_t>(took.count()));
    if (!spdlog::should_log(spdlog::level::debug)) return;
    spdlog::debug("{} {} {} -> {} in {} us, request {}", request_.actor, request_.method,
                  rules::printable(request_.path, 200), status, took.count(), request_.id);
  }

  void on_answered(beast::error_code error) {
    if (error || !keep_alive_) return close();
    response_ = {};
    request_ = {};
    // An idle connection keeps little.
    if (buffer_.size() == 0 && buffer_.capacity() > kBufferKept) buffer_ = {};
    read_head();
  }

  void begin_stream(std::shared_ptr<EventSubscription> events) {
    events_ = std::move(events);
    buffer_ = {};
    parser_.reset();
    std::ostringstream head;
    head << response_.base();
    context_.streams.insert(this);
    context_.counts.streams = context_.streams.size();
    lowest().expires_never();
    watch_for_end();
    // A client that comes again waits so long first.
    send(head.str() + "retry: 2000\n\n" + events_->take(kEventBytesAtOnce));
  }

  // What a listener still sends means nothing; that it goes away does.
  void watch_for_end() {
    stream_.async_read_some(asio::buffer(ignored_), [self = this->shared_from_this()](
                                                        beast::error_code error, std::size_t size) {
      self->ignored_bytes_ += size;
      if (error || self->ignored_bytes_ > kHeaderBytesMax) return self->end_stream();
      self->watch_for_end();
    });
  }

  void send(std::string text) {
    out_ = std::move(text);
    is_writing_ = true;
    lowest().expires_after(kWriteTime);
    asio::async_write(stream_, asio::buffer(out_),
                      [self = this->shared_from_this()](beast::error_code error, std::size_t) {
                        self->is_writing_ = false;
                        if (error) return self->end_stream();
                        self->out_ = {};
                        if (self->context_.streams.contains(self.get())) self->send_events();
                      });
  }

  void end_stream() {
    leave_streams();
    lowest().close();
  }
  void leave_streams() {
    if (context_.streams.erase(this) != 0) context_.counts.streams = context_.streams.size();
  }
  void release_body() { context_.body_bytes -= std::exchange(body_bytes_, 0); }

  void close() {
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      lowest().expires_after(kLingerTime);
      stream_.async_shutdown(
          [self = this->shared_from_this()](beast::error_code) { self->linger(); });
    } else {
      linger();
    }
  }

  // Closed with bytes unread, the kernel would reset the connection, and the client might never see
  // the answer.
  void linger() {
    beast::error_code error;
    lowest().socket().shutdown(Protocol::socket::shutdown_send, error);
    if (error) return;
    lowest().expires_after(kLingerTime);
    drain();
  }
  void drain() {
    lowest().async_read_some(
        asio::buffer(ignored_),
        [self = this->shared_from_this()](beast::error_code error, std::size_t size) {
          self->ignored_bytes_ += size;
          if (!error && self->ignored_bytes_ < kLingerBytesMax) self->drain();
        });
  }

  HttpContext& context_;
  Stream stream_;
  const HttpPeer peer_;
  const Identity unix_identity_;
  beast::flat_buffer buffer_;

  // Of the request at hand.
  Clock::time_point begin_;
  HttpRequest request_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<HttpAnswer> refusal_;  // to be sent when the rest is read
  std::uint64_t body_bytes_max_ = 0;
  std::uint64_t body_bytes_ = 0;  // counted in context_.body_bytes
  bool keep_alive_ = false;
  http::response<http::string_body> response_;

  // Of an event stream, and of the end.
  std::shared_ptr<EventSubscription> events_;
  std::string out_;
  bool is_writing_ = false;
  std::array<char, 1024> ignored_{};
  std::size_t ignored_bytes_ = 0;
};

// A word to who is turned away, if it costs nothing.
void turn_away(Protocol::socket& socket, bool with_tls) {
  constexpr std::string_view kAnswer =
      "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
      "Connection: close\r\n\r\n";
  if (!with_tls)
    (void)!::send(socket.native_handle(), kAnswer.data(), kAnswer.size(),
                  MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace

void serve(HttpContext& context, Protocol::socket socket, bool with_tls) {
  beast::error_code error;
  const auto remote = socket.remote_endpoint(error);
  if (error) return;
  HttpPeer peer;
  Identity identity;
  if (remote.protocol().family() == AF_UNIX) {
    auto known = context.unix_peers->identify(socket.native_handle());
    if (!known) return;
    identity = std::move(*known);
    peer.key = peer.name = identity.actor;
  } else {
    peer = peer_of_tcp(remote.data());
  }
  if (!context.peers.connect(peer)) {
    ++context.counts.refused_connections;
    return turn_away(socket, with_tls);
  }
  context.counts.connections = context.peers.connections();
  PlainStream stream(std::move(socket));
  if (with_tls) {
    std::make_shared<Session<TlsStream>>(
        context, TlsStream(std::move(stream), context.certificate->context()), std::move(peer),
        std::move(identity))
        ->start();
  } else {
    std::make_shared<Session<PlainStream>>(context, std::move(stream), std::move(peer),
                                           std::move(identity))
        ->start();
  }
}

}  // namespace sluice::control
