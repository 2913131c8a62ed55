// SPDX-License-Identifier: Apache-2.0
#include "control/http_gate.h"

#include <fmt/format.h>

#include "control/http_target.h"

namespace sluice::control {
namespace {

HttpAdmission refused(const HttpContext& context, unsigned status, const std::string& message,
                      HttpHeaders headers = {}) {
  HttpAnswer answer;
  answer.status = status;
  answer.body = context.fault(status, message);
  answer.headers = std::move(headers);
  return {std::move(answer)};
}

bool is_safe(const std::string& method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS";
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

// A page of another site must not drive the API by a name of its own that it lets point here: only
// names that were given to this node, and addresses, which nobody can repoint.
bool is_host_of_ours(const HttpContext& context, std::string_view host) {
  std::string name = lower(host_name(host));
  if (name.ends_with('.')) name.pop_back();
  if (is_loopback_name(name) || is_address(name)) return true;
  for (const std::string& known : context.options.hosts)
    if (lower(known) == name) return true;
  return false;
}

// "https://node:8443" against "node:8443".
bool is_own_origin(std::string_view origin, std::string_view host) {
  const std::size_t slashes = origin.find("://");
  return slashes != std::string_view::npos && lower(origin.substr(slashes + 3)) == lower(host);
}

// JSON, or nothing said; what curl says of every body is let pass.
bool is_readable_type(std::string_view type) {
  std::string kind = lower(type.substr(0, type.find(';')));
  while (kind.ends_with(' ')) kind.pop_back();
  return kind.empty() || kind == "application/json" || kind.ends_with("+json") ||
         kind == "application/x-www-form-urlencoded";
}

// An X-Request-Id that may stand in logs and headers.
bool is_sane_id(std::string_view id) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  return !id.empty() && id.size() <= 64 && id.find_first_not_of(kAllowed) == std::string_view::npos;
}

std::optional<HttpAdmission> identify(HttpContext& context, const HttpPeer& peer,
                                      const Identity& unix_identity, HttpRequest& request) {
  const std::string_view authorization = request.header("Authorization");
  const bool has_token = lower(authorization.substr(0, 7)) == "bearer ";
  if (has_token && (peer.is_tcp || context.tokens)) {
    auto identity = context.tokens ? context.tokens->find(authorization.substr(7)) : std::nullopt;
    if (!identity) {
      return refused(context, 401, "The token is none that this node knows.",
                     {{"WWW-Authenticate", R"(Bearer realm="sluice", error="invalid_token")"}});
    }
    request.actor = std::move(identity->actor);
    request.role = identity->role;
    return std::nullopt;
  }
  if (!peer.is_tcp) {
    request.actor = unix_identity.actor;
    request.role = unix_identity.role;
    return std::nullopt;
  }
  request.is_anonymous = true;
  request.actor = "anonymous " + peer.name;
  if (peer.is_loopback && context.options.insecure_loopback) {
    request.role = Role::admin;
  } else if (peer.is_loopback && !context.tokens) {
    request.role = Role::read;
  }
  return std::nullopt;
}

std::optional<HttpAdmission> judge(HttpContext& context, const HttpPeer& peer,
                                   const HttpRequest& request) {
  if (!context.peers.request(peer)) {
    return refused(
        context, 429,
        fmt::format("More than {} requests a second; wait a moment.", context.options.requests_max),
        {{"Retry-After", "1"}});
  }
  const std::string_view host = request.header("Host");
  if (peer.is_tcp && !is_host_of_ours(context, host)) {
    return refused(context, host.empty() ? 400 : 403,
                   "The Host header must name this node: an address, localhost, or a name given "
                   "with --api-host.");
  }
  const std::string_view origin = request.header("Origin");
  if (!is_safe(request.method) && !origin.empty() && !is_own_origin(origin, host))
    return refused(context, 403, "A page of another site may not change this node.");
  if (!is_safe(request.method) && !is_readable_type(request.header("Content-Type"))) {
    return refused(context, 415,
                   "The body must be JSON; say so with Content-Type: application/json.");
  }
  const std::string_view encoding = request.header("Content-Encoding");
  if (!encoding.empty() && lower(encoding) != "identity")
    return refused(context, 415, "The body must be sent without a Content-Encoding.");
  return std::nullopt;
}

}  // namespace

HttpAdmission admit(HttpContext& context, const HttpPeer& peer, const Identity& unix_identity,
                    HttpRequest& request) {
  const std::string_view id = request.header("X-Request-Id");
  request.id = is_sane_id(id) ? std::string(id) : fmt::format("{:016x}", context.next_request++);
  request.actor = peer.is_tcp ? peer.name : unix_identity.actor;
  if (auto refusal = judge(context, peer, request)) return std::move(*refusal);
  if (auto refusal = identify(context, peer, unix_identity, request)) return std::move(*refusal);
  return context.admit ? context.admit(request) : HttpAdmission{{}, kBodyBytesMax};
}

}  // namespace sluice::control
