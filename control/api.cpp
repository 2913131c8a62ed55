// SPDX-License-Identifier: Apache-2.0
#include "control/api.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <charconv>
#include <optional>
#include <set>

#include "control/api_changes.h"
#include "control/api_route.h"
#include "rules/printable.h"

namespace sluice::control {
namespace {

using rules::ErrorCode;
using rules::fail;
using rules::Json;
using rules::Result;

// Does the path fit the pattern? The id, or 0 where the pattern has none.
std::optional<std::uint32_t> match(std::string_view pattern, std::string_view path) {
  std::uint32_t id = 0;
  while (true) {
    const std::size_t hole = pattern.find("{}");
    if (hole == std::string_view::npos) {
      if (pattern == path) return id;
      return std::nullopt;
    }
    if (!path.starts_with(pattern.substr(0, hole))) return std::nullopt;
    path.remove_prefix(hole);
    const std::string_view digits = path.substr(0, path.find('/'));
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), id);
    if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size())
      return std::nullopt;
    path.remove_prefix(digits.size());
    pattern.remove_prefix(hole + 2);
  }
}

HttpAnswer not_there(unsigned status, const std::string& message, const std::string& allow = "") {
  HttpAnswer answer;
  answer.status = status;
  answer.body = Api::fault(status, message);
  answer.allow = allow;
  return answer;
}

// A sentence about the workers that hang; empty: none.
std::string hung_workers(const dataplane::Dataplane& plane) {
  std::string text;
  for (const auto& worker : plane.workers())
    if (worker.is_hung)
      text += fmt::format("{}The worker on lcore {} has polled no port for {} ms.",
                          text.empty() ? "" : " ", worker.lcore, worker.silent_ms);
  return text;
}

Result<Json> read_body(const HttpRequest& request) {
  if (request.method != "POST" && request.method != "PUT") return Json::object();
  if (request.body.find_first_not_of(" \t\r\n") == std::string::npos) return Json::object();
  auto body = rules::parse_json(request.body);
  if (body && !body->is_object()) return fail(rules::refusal({{"body", "must be a JSON object"}}));
  return body;
}

bool is_health(std::string_view path) {
  return path == "/healthz" || path == "/readyz";
}

HttpAnswer health(const Publisher& publisher) {
  // Asked only when a table is in force, so whoever reads this is served by one.
  const std::uint64_t generation = publisher.state()->generation;
  if (const std::string hung = hung_workers(publisher.dataplane()); !hung.empty())
    return not_there(503, hung);
  return success({{"generation", generation}}, "Success", generation);
}

struct Found {
  const Route* route = nullptr;
  std::uint32_t id = 0;
  HttpAnswer refusal;  // without a route: 404 or 405
};

Found find_route(const HttpRequest& request) {
  static const std::vector<Route> kRoutes = all_routes();
  std::string_view path = request.path;
  const bool is_beside = !path.starts_with(kApiPrefix);
  if (!is_beside) path.remove_prefix(kApiPrefix.size());
  if (path.ends_with('/')) path.remove_suffix(1);
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  std::set<std::string_view> allowed;
  for (const Route& route : kRoutes) {
    if (route.is_beside_prefix != is_beside) continue;
    const auto id = match(route.path, path);
    if (!id) continue;
    if (route.method == method) return {&route, *id, {}};
    allowed.insert(route.method);
  }
  if (!allowed.empty()) {
    return {nullptr, 0,
            not_there(405, fmt::format("{} is not for this path.", rules::printable(method, 40)),
                      fmt::format("{}", fmt::join(allowed, ", ")))};
  }
  return {
      nullptr, 0,
      not_there(
          404, fmt::format("There is nothing at {}{}.", rules::printable(request.path, 200),
                           is_beside ? fmt::format("; the API stands below {}", kApiPrefix) : ""))};
}

Role role_of(const Route& route) {
  return route.role.value_or(route.read ? Role::read : Role::operate);
}

std::optional<HttpAnswer> refuse_role(const HttpRequest& request, Role needed) {
  if (request.role >= needed) return std::nullopt;
  if (request.is_anonymous) {
    HttpAnswer answer = not_there(
        401, fmt::format("This needs the role {}: send a token of it (Authorization: Bearer …); "
                         "sluicectl token create makes one for the daemon's --api-tokens.",
                         to_string(needed)));
    answer.headers = {{"WWW-Authenticate", R"(Bearer realm="sluice")"}};
    return answer;
  }
  return not_there(
      403, fmt::format("This needs the role {}, and {} has {}.", to_string(needed), request.actor,
                       request.role == Role::none ? "none" : to_string(request.role)));
}

}  // namespace

std::vector<Route> all_routes() {
  std::vector<Route> routes = group_routes();
  for (auto& family : {lb_routes(), vpc_routes(), node_routes(), event_routes(), change_routes(),
                       observe_routes(), apply_routes(), system_routes(), beside_routes()})
    routes.insert(routes.end(), family.begin(), family.end());
  return routes;
}

std::string Api::fault(unsigned status, const std::string& message) {
  return dump(envelope(status, nullptr, Json::object(), message));
}

HttpAnswer Api::not_yet() {
  HttpAnswer answer = not_there(503, "The node is starting and enforces nothing yet.");
  answer.headers = {{"Retry-After", "1"}};
  return answer;
}

HttpAdmission Api::admit(const HttpRequest& head) const {
  const std::string_view path = head.path;
  if (is_health(path) || find_asset(path) != nullptr) return {{}, kRefusedBodyBytesMax};
  const Found found = find_route(head);
  if (found.route == nullptr) return {found.refusal, 0};
  if (auto refusal = refuse_role(head, role_of(*found.route))) return {std::move(refusal), 0};
  return {{}, found.route->body_bytes_max};
}

void Api::handle(const HttpRequest& request, Respond respond) try {
  if (is_health(request.path)) return respond(health(publisher_));
  if (const Asset* asset = find_asset(request.path)) return respond(asset_answer(*asset, request));
  const Found found = find_route(request);
  if (found.route == nullptr) return respond(found.refusal);
  const Route& route = *found.route;
  if (auto refusal = refuse_role(request, role_of(route))) return respond(*refusal);
  auto body = read_body(request);
  if (!body) {
    if (!route.change) return respond(refusal(body.error()));
    return submit_refused(request, publisher_, body.error(), std::move(respond));
  }
  const Call call{request, found.id, std::move(*body), publisher_, publisher_.state(), rooms_};
  if (route.read) return respond(route.read(call));
  if (route.later) return route.later(call, std::move(respond));
  submit_change(call, route, std::move(respond));
} catch (const std::exception& exception) {
  // The last guard: a library's exception must end the request, not the daemon.
  spdlog::error("{} {}: {}", request.method, rules::printable(request.path), exception.what());
  respond(not_there(500, "An error inside the daemon; its log tells more."));
}

const Asset* Api::find_asset(std::string_view path) const {
  return rooms_.assets ? rooms_.assets(path) : nullptr;
}

}  // namespace sluice::control
