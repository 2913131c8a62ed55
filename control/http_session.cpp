// SPDX-License-Identifier: Apache-2.0
#include "control/http_session.h"

#include <fmt/format.h>

#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <optional>
#include <sstream>

#include "control/http_target.h"

namespace sluice::control {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Protocol = asio::generic::stream_protocol;
using PlainStream = beast::basic_stream<Protocol>;

constexpr std::size_t kEventBytesAtOnce = 64u << 10;

template <class Stream>
class Session final : public HttpStream, public std::enable_shared_from_this<Session<Stream>> {
 public:
  Session(HttpContext& context, Protocol::socket socket, bool is_tcp)
      : context_(context), stream_(std::move(socket)), is_tcp_(is_tcp) {
    ++context_.connections;
  }
  ~Session() override {
    --context_.connections;
    context_.streams.erase(this);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void read() {
    parser_.emplace();
    parser_->header_limit(kHeaderBytesMax);
    parser_->body_limit(kBodyBytesMax);
    lowest().expires_after(std::chrono::seconds(kIdleSeconds));
    http::async_read(stream_, buffer_, *parser_,
                     [self = this->shared_from_this()](beast::error_code error, std::size_t) {
                       self->on_read(error);
                     });
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
    for (const auto& field : message)
      request.headers.emplace_back(field.name_string(), field.value());
    // A page of another site must not drive the API by a name that it lets point to 127.0.0.1.
    if (is_tcp_ && !is_loopback_name(host_name(request.header("Host"))))
      return refuse(403, "The Host header must name this machine's loopback address.");
    if (!read_target({message.target().data(), message.target().size()}, request))
      return refuse(400, "The path or query is not well encoded.");
    request.body = message.body();
    request.if_match = std::string(request.header("If-Match"));
    request.id = fmt::format("{:016x}", context_.next_request++);
    id_ = request.id;
    lowest().expires_never();
    // The answer may come from the publisher's thread; all else happens on ours.
    context_.handler(request, [self = this->shared_from_this()](HttpAnswer answer) {
      asio::post(self->context_.io,
                 [self, answer = std::move(answer)]() mutable { self->answer(std::move(answer)); });
    });
  }

  void refuse(unsigned status, const std::string& message) {
    keep_alive_ = false;
    HttpAnswer refusal;
    refusal.status = status;
    refusal.body = context_.fault(status, message);
    answer(std::move(refusal));
  }

  void answer(HttpAnswer answer) {
    const bool is_stream = answer.stream != nullptr;
    if (is_stream) {
      keep_alive_ = false;  // the end of the connection is the end of the events
      answer.content_type = "text/event-stream";
    }
    response_ = {};
    response_.version(11);
    response_.result(answer.status);
    response_.set(http::field::server, "sluice");
    if (!answer.content_type.empty()) response_.set(http::field::content_type, answer.content_type);
    response_.set("X-Request-Id", id_);
    response_.set(http::field::cache_control, "no-store");
    response_.set("X-Content-Type-Options", "nosniff");
    if (!answer.etag.empty()) response_.set(http::field::etag, answer.etag);
    if (!answer.allow.empty()) response_.set(http::field::allow, answer.allow);
    for (const auto& [name, value] : answer.headers) response_.set(name, value);
    response_.keep_alive(keep_alive_);
    if (is_stream && !is_head_) return begin_stream(std::move(answer.stream));
    // RFC 9110 §15.4.5: a 304 has no body, and no length of one.
    if (!is_stream && answer.status != 304) response_.content_length(answer.body.size());
    if (!is_head_ && answer.status != 304) response_.body() = std::move(answer.body);
    lowest().expires_after(std::chrono::seconds(kIdleSeconds));
    http::async_write(stream_, response_,
                      [self = this->shared_from_this()](beast::error_code error, std::size_t) {
                        if (error || !self->keep_alive_) return self->close();
                        self->read();
                      });
  }

  void begin_stream(std::shared_ptr<EventSubscription> events) {
    events_ = std::move(events);
    buffer_ = {};
    parser_.reset();
    std::ostringstream head;
    head << response_.base();
    context_.streams.insert(this);
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
    lowest().expires_after(std::chrono::seconds(kIdleSeconds));
    asio::async_write(stream_, asio::buffer(out_),
                      [self = this->shared_from_this()](beast::error_code error, std::size_t) {
                        self->is_writing_ = false;
                        if (error) return self->end_stream();
                        self->out_ = {};
                        if (self->context_.streams.contains(self.get())) self->send_events();
                      });
  }

  void end_stream() {
    context_.streams.erase(this);
    lowest().close();
  }

  void close() {
    beast::error_code ignored;
    lowest().socket().shutdown(Protocol::socket::shutdown_send, ignored);
  }

  HttpContext& context_;
  Stream stream_;
  bool is_tcp_;
  bool keep_alive_ = false;
  bool is_head_ = false;
  std::string id_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;

  // Of an event stream.
  std::shared_ptr<EventSubscription> events_;
  std::string out_;
  bool is_writing_ = false;
  std::array<char, 256> ignored_{};
  std::size_t ignored_bytes_ = 0;
};

}  // namespace

void serve(HttpContext& context, Protocol::socket socket, bool is_tcp) {
  std::make_shared<Session<PlainStream>>(context, std::move(socket), is_tcp)->read();
}

}  // namespace sluice::control
