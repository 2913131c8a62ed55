// SPDX-License-Identifier: Apache-2.0
#include "control/api.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <charconv>
#include <optional>
#include <set>

#include "control/api_reads.h"
#include "control/flows_option.h"

namespace sluice::control {
namespace {

using rules::ErrorCode;
using rules::fail;
using rules::Json;
using rules::Result;
using Respond = std::function<void(HttpAnswer)>;

Json envelope(unsigned code, Json data, Json errors, const std::string& message) {
  return {{"code", code},
          {"data", std::move(data)},
          {"errors", std::move(errors)},
          {"message", message}};
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

HttpAnswer success(Json data, const std::string& message, std::uint64_t generation) {
  HttpAnswer answer;
  answer.body = dump(envelope(200, std::move(data), Json::object(), message));
  answer.etag = fmt::format("\"{}\"", generation);
  return answer;
}

// Each field once; several problems of one field stand in a list.
Json errors_json(const std::vector<rules::Problem>& problems) {
  Json errors = Json::object();
  for (const auto& problem : problems) {
    Json& entry = errors[problem.where.empty() ? "body" : problem.where];
    if (entry.is_null()) entry = Json::array();
    entry.push_back(problem.message);
  }
  return errors;
}

HttpAnswer refusal(const rules::Error& error) {
  HttpAnswer answer;
  answer.status = status_of(error.code);
  answer.body = dump(envelope(answer.status, nullptr, errors_json(error.problems), error.message));
  return answer;
}

// A request as a route's function sees it.
struct Call {
  const HttpRequest& request;
  std::uint32_t id = 0;  // from the path, where the route has one
  Json body;             // of POST and PUT; an empty body is {}
  Publisher& publisher;
  StatePtr state;
};

// Reads answer at once; changes go to the publisher.
struct Route {
  std::string_view method;
  std::string_view path;  // below the prefix; "{}" is an id
  std::function<HttpAnswer(const Call&)> read;
  std::function<Publisher::Change(const Call&)> change;
  std::string_view message = "Success";  // of a change
};

template <class View>
std::function<HttpAnswer(const Call&)> view(View function) {
  return [function](const Call& call) {
    Result<Json> json = function(call);
    if (!json) return refusal(json.error());
    return success(std::move(*json), "Success", call.state->generation);
  };
}

HttpAnswer lb_page(const Call& call) {
  auto page = list_lbs(*call.state, call.request.query);
  if (!page) return refusal(page.error());
  Json json = envelope(200, std::move(page->items), Json::object(), "Success");
  json["total_page_number"] = page->total_pages;
  json["total_count"] = page->total_count;
  HttpAnswer answer;
  answer.body = dump(json);
  answer.etag = fmt::format("\"{}\"", call.state->generation);
  return answer;
}

using Change = Publisher::Change;

// A use case of (state, id, body), of (state, id), of (state, body).
template <class UseCase>
std::function<Change(const Call&)> with_id_and_body(UseCase use_case) {
  return [use_case](const Call& call) -> Change {
    return [use_case, id = call.id, body = call.body](const State& state) {
      return use_case(state, id, body);
    };
  };
}
template <class UseCase>
std::function<Change(const Call&)> with_id(UseCase use_case) {
  return [use_case](const Call& call) -> Change {
    return [use_case, id = call.id](const State& state) { return use_case(state, id); };
  };
}
template <class UseCase>
std::function<Change(const Call&)> with_body(UseCase use_case) {
  return [use_case](const Call& call) -> Change {
    return [use_case, body = call.body](const State& state) { return use_case(state, body); };
  };
}

Change registration(const Call& call) {
  return [body = call.body, zones = call.publisher.zones()](const State& state) {
    return register_lb(state, body, zones);
  };
}
Change replacement(const Call& call) {
  return [id = call.id, body = call.body, zones = call.publisher.zones()](const State& state) {
    return replace_lb(state, id, body, zones);
  };
}

std::vector<Route> make_routes() {
  const auto state_view = [](auto function) {
    return view([function](const Call& call) { return function(*call.state); });
  };
  const auto id_view = [](auto function) {
    return view([function](const Call& call) { return function(*call.state, call.id); });
  };
  const auto attached = view([](const Call& call) {
    return call.request.query.contains("available") ? list_available(*call.state, call.id)
                                                    : list_attached(*call.state, call.id);
  });
  const auto table = view([](const Call& call) -> Result<Json> {
    return show_table(call.publisher.table(), call.publisher.dataplane());
  });
  const auto counters = view([](const Call& call) -> Result<Json> {
    return show_counters(call.publisher.table(), call.publisher.dataplane());
  });
  return {
      {"GET", "/security_group", state_view(list_groups), {}},
      {"POST",
       "/security_group",
       {},
       with_body(create_group),
       "Security Group created successfully."},
      {"GET", "/security_group/{}", id_view(show_group), {}},
      {"PUT",
       "/security_group/{}",
       {},
       with_id_and_body(update_group),
       "Security Group updated successfully."},
      {"DELETE",
       "/security_group/{}",
       {},
       with_id(delete_group),
       "Security Group deleted successfully."},
      {"PUT",
       "/security_group/{}/mark-default",
       {},
       with_id(mark_default),
       "Security Group marked as default successfully."},
      {"GET", "/security_group/{}/attach", attached, {}},
      {"POST",
       "/security_group/{}/attach",
       {},
       with_id_and_body(attach),
       "Security Group attached successfully"},
      {"GET", "/security_group/{}/detach", id_view(list_detachable), {}},
      {"POST",
       "/security_group/{}/detach",
       {},
       with_id_and_body(detach),
       "Security Group detached successfully"},
      {"GET", "/appliances", lb_page, {}},
      {"POST",
       "/appliances/load-balancers",
       {},
       registration,
       "Load balancer registered successfully."},
      {"PUT",
       "/appliances/load-balancers/{}",
       {},
       replacement,
       "Load balancer updated successfully."},
      {"GET", "/appliances/{}", id_view(show_lb), {}},
      {"DELETE", "/appliances/{}", {}, with_id(delete_lb), "Load balancer deleted successfully."},
      {"PUT", "/appliances/{}/status", {}, with_id_and_body(set_status), "Status recorded."},
      {"GET", "/appliances/{}/security_group", id_view(show_tab), {}},
      {"GET", "/nodes/{}", id_view(show_node), {}},
      {"GET", "/vpc/list", state_view(list_vpcs), {}},
      {"POST", "/vpc", {}, with_body(create_vpc), "VPC created successfully."},
      {"GET", "/vpc/{}", id_view(show_vpc), {}},
      {"PUT", "/vpc/{}", {}, with_id_and_body(update_vpc), "VPC updated successfully."},
      {"DELETE", "/vpc/{}", {}, with_id(delete_vpc), "VPC deleted successfully."},
      {"GET", "/table", table, {}},
      {"GET", "/counters", counters, {}},
  };
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

// 412: the client changes what it has not seen.
bool is_stale(const std::string& if_match, std::uint64_t generation) {
  return !if_match.empty() && if_match != "*" && if_match != fmt::format("\"{}\"", generation) &&
         if_match != fmt::format("{}", generation);
}

HttpAnswer stale(std::uint64_t generation) {
  HttpAnswer answer;
  answer.status = 412;
  answer.body =
      Api::fault(412, fmt::format("The node is at generation {} by now; read again.", generation));
  answer.etag = fmt::format("\"{}\"", generation);
  return answer;
}

// Outcome of a change that met a newer generation in the queue.
constexpr std::string_view kStale = "stale";

void submit(const Call& call, const Route& route, Respond respond) {
  Publisher::Change change = route.change(call);
  if (!call.request.if_match.empty()) {
    // Judged where changes are serial: what was read is what is changed.
    change = [change, if_match = call.request.if_match](const State& state) -> Result<Outcome> {
      if (is_stale(if_match, state.generation))
        return fail(ErrorCode::conflict, std::string(kStale));
      return change(state);
    };
  }
  Publisher& publisher = call.publisher;
  publisher.submit(std::move(change), [message = std::string(route.message), &publisher,
                                       respond = std::move(respond)](Result<Applied> applied) {
    if (!applied) {
      respond(applied.error().message == kStale ? stale(publisher.state()->generation)
                                                : refusal(applied.error()));
      return;
    }
    Json data = std::move(applied->answer);
    data["generation"] = applied->generation;
    data["compile_us"] = applied->compile_us;
    data["store_us"] = applied->store_us;
    data["swap_us"] = applied->swap_us;
    data["flows"] = fates_to_json(applied->flows);
    respond(success(std::move(data), message, applied->generation));
  });
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

unsigned status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid:
      return 400;
    case ErrorCode::forbidden:
      return 403;
    case ErrorCode::not_found:
      return 404;
    case ErrorCode::conflict:
      return 409;
    case ErrorCode::too_large:
      return 413;
    case ErrorCode::capacity:
      return 422;
    case ErrorCode::unavailable:
      return 503;
    case ErrorCode::storage:
      return 507;
    case ErrorCode::system:
      return 500;
  }
  return 500;
}

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
    if (!body) return respond(refusal(body.error()));
    const Call call{request, *id, std::move(*body), publisher_, publisher_.state()};
    if (route.read) return respond(route.read(call));
    return submit(call, route, std::move(respond));
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
