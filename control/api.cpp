// SPDX-License-Identifier: Apache-2.0
#include "control/api.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <charconv>
#include <optional>
#include <set>

#include "control/api_changes.h"
#include "control/api_route.h"

namespace sluice::control {
namespace {

using rules::ErrorCode;
using rules::fail;
using rules::Json;
using rules::Result;

std::vector<Route> make_routes() {
  std::vector<Route> routes = group_routes();
  for (auto& family : {lb_routes(), vpc_routes(), node_routes(), change_routes()})
    routes.insert(routes.end(), family.begin(), family.end());
  return routes;
}

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
  return {status, Api::fault(status, message), "application/json", "", allow};
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

}  // namespace

std::string Api::fault(unsigned status, const std::string& message) {
  return dump(envelope(status, nullptr, Json::object(), message));
}

void Api::handle(const HttpRequest& request, Respond respond) try {
  static const std::vector<Route> kRoutes = make_routes();
  std::string_view path = request.path;
  if (path == "/healthz" || path == "/readyz") {
    // The API opens only when a table is in force, so whoever reads this is served by one.
    if (const std::string hung = hung_workers(publisher_.dataplane()); !hung.empty())
      return respond(not_there(503, hung));
    return respond(success({{"generation", publisher_.state()->generation}}, "Success",
                           publisher_.state()->generation));
  }
  if (!path.starts_with(kApiPrefix))
    return respond(not_there(
        404, fmt::format("There is nothing at {}; the API stands below {}.", path, kApiPrefix)));
  path.remove_prefix(kApiPrefix.size());
  if (path.ends_with('/')) path.remove_suffix(1);
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  std::set<std::string> allowed;
  for (const Route& route : kRoutes) {
    const auto id = match(route.path, path);
    if (!id) continue;
    if (route.method != method) {
      allowed.insert(std::string(route.method));
      continue;
    }
    auto body = read_body(request);
    if (!body) {
      if (!route.change) return respond(refusal(body.error()));
      return submit_refused(request, publisher_, body.error(), std::move(respond));
    }
    const Call call{request, *id, std::move(*body), publisher_, publisher_.state()};
    if (route.read) return respond(route.read(call));
    if (route.later) return route.later(call, std::move(respond));
    return submit_change(call, route, std::move(respond));
  }
  if (allowed.empty()) return respond(not_there(404, fmt::format("There is nothing at {}.", path)));
  respond(not_there(405, fmt::format("{} is not for this path.", method),
                    fmt::format("{}", fmt::join(allowed, ", "))));
} catch (const std::exception& exception) {
  // The last guard: a library's exception must end the request, not the daemon.
  spdlog::error("{} {}: {}", request.method, request.path, exception.what());
  respond(not_there(500, "An error inside the daemon; its log tells more."));
}

}  // namespace sluice::control
