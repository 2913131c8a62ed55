// SPDX-License-Identifier: Apache-2.0
#include "control/http_server.h"

#include <fmt/format.h>
#include <grp.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <list>
#include <thread>

#include "control/http_context.h"
#include "control/http_listener.h"

namespace sluice::control {

using rules::ErrorCode;
using rules::fail;
using rules::Result;

struct HttpServer::Parts {
  HttpContext context;
  std::list<std::unique_ptr<HttpListener>> listeners;
  boost::asio::steady_timer heartbeat{context.io};
  std::thread thread;

  explicit Parts(HttpOptions options) : context(std::move(options)) {}

  // A proxy, and a client that went away without a word, must see that a stream lives.
  void beat() {
    heartbeat.expires_after(kHeartbeatTime);
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

namespace {

Result<gid_t> group_of(const std::string& name) {
  if (name.empty()) return ::getegid();
  std::vector<char> buffer(65536);
  group entry{};
  group* found = nullptr;
  if (::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) == 0 &&
      found != nullptr)
    return found->gr_gid;
  return fail(ErrorCode::invalid,
              fmt::format("--api-group {}: there is no such group; groupadd makes one", name));
}

Result<void> prepare(HttpContext& context) {
  const HttpOptions& options = context.options;
  const auto group = group_of(options.unix_group);
  if (!group) return tl::unexpected(group.error());
  context.unix_peers.emplace(*group, options.unix_role);
  if (!options.tokens_path.empty()) {
    auto tokens = Tokens::open(options.tokens_path);
    if (!tokens) return tl::unexpected(tokens.error());
    context.tokens = std::move(*tokens);
  }
  if (options.certificate_path.empty() != options.key_path.empty())
    return fail(ErrorCode::invalid, "--api-cert and --api-key are needed together");
  if (!options.certificate_path.empty()) {
    auto certificate = TlsCertificate::open(options.certificate_path, options.key_path);
    if (!certificate) return tl::unexpected(certificate.error());
    context.certificate = std::move(*certificate);
  }
  return {};
}

// A service manager's default of 1024 descriptors is less than the connections there may be.
void make_room_for(std::size_t connections) {
  rlimit limit{};
  const rlim_t wanted = connections + 512;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::open(const std::vector<std::string>& addresses,
                                                     HttpHandler handler, HttpFault fault,
                                                     HttpAdmit admit, HttpOptions options) {
  auto parts = std::make_shared<Parts>(std::move(options));
  parts->context.handler = std::move(handler);
  parts->context.fault = std::move(fault);
  parts->context.admit = std::move(admit);
  if (auto prepared = prepare(parts->context); !prepared) return tl::unexpected(prepared.error());
  make_room_for(parts->context.options.connections_max);
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

const HttpCounts& HttpServer::counts() const {
  return parts_->context.counts;
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
