// SPDX-License-Identifier: Apache-2.0
#include "control/http_server.h"

#include <spdlog/spdlog.h>

#include <list>
#include <thread>

#include "control/http_context.h"
#include "control/http_listener.h"

namespace sluice::control {

using rules::Result;

struct HttpServer::Parts {
  HttpContext context;
  std::list<std::unique_ptr<HttpListener>> listeners;
  boost::asio::steady_timer heartbeat{context.io};
  std::thread thread;

  // A proxy, and a client that went away without a word, must see that a stream lives.
  void beat() {
    heartbeat.expires_after(std::chrono::seconds(kHeartbeatSeconds));
    heartbeat.async_wait([this](boost::system::error_code stopped) {
      if (stopped) return;
      for (HttpStream* stream : context.streams) stream->send_heartbeat();
      beat();
    });
  }
};

HttpServer::HttpServer(std::shared_ptr<Parts> parts) : parts_(std::move(parts)) {}

HttpServer::~HttpServer() {
  parts_->context.io.stop();
  if (parts_->thread.joinable()) parts_->thread.join();
  parts_->listeners.clear();
}

Result<std::unique_ptr<HttpServer>> HttpServer::open(const std::vector<std::string>& addresses,
                                                     HttpHandler handler, HttpFault fault) {
  auto parts = std::make_shared<Parts>();
  parts->context.handler = std::move(handler);
  parts->context.fault = std::move(fault);
  for (const std::string& address : addresses) {
    auto listener = HttpListener::open(parts->context, address);
    if (!listener) return tl::unexpected(listener.error());
    parts->listeners.push_back(std::move(*listener));
  }
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(parts)));
}

void HttpServer::start() {
  for (const auto& listener : parts_->listeners) listener->accept();
  parts_->beat();
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

std::function<void()> HttpServer::stream_waker() const {
  return [weak = std::weak_ptr<Parts>(parts_)] {
    const auto parts = weak.lock();
    if (parts == nullptr || parts->context.woken.exchange(true)) return;
    boost::asio::post(parts->context.io, [context = &parts->context] {
      context->woken = false;  // first: what is published from here on asks for another look
      for (HttpStream* stream : context->streams) stream->send_events();
    });
  };
}

}  // namespace sluice::control
