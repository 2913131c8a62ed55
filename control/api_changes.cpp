// SPDX-License-Identifier: Apache-2.0
//
// Changes through the API: the request with its options to the publisher, its answer to the
// envelope; and the routes about changes made, those that await confirmation, and the backup.
#include "control/api_changes.h"

#include <fmt/format.h>

#include <charconv>

#include "control/api.h"
#include "control/change_request.h"
#include "control/flows_option.h"
#include "control/undo.h"

namespace sluice::control {
namespace {

using rules::ErrorCode;
using rules::fail;
using rules::Json;
using rules::Result;

HttpAnswer stale(std::uint64_t generation) {
  HttpAnswer answer;
  answer.status = 412;
  answer.body =
      Api::fault(412, fmt::format("The node is at generation {} by now; read again.", generation));
  answer.etag = fmt::format("\"{}\"", generation);
  return answer;
}

// Options of a change that has no body (DELETE) stand in the query; with one, either will do.
Json options_of(const Call& call) {
  Json options = call.body.is_object() ? call.body : Json::object();
  for (const char* name : {"dry_run", "expires_in", "confirm_within", "flows"}) {
    const auto given = call.request.query.find(name);
    if (given == call.request.query.end() || options.contains(name)) continue;
    const std::string& text = given->second;
    const bool is_flag = std::string_view(name) == "dry_run";
    if (is_flag && (text == "true" || text == "1" || text.empty())) {
      options[name] = true;
    } else if (is_flag && (text == "false" || text == "0")) {
      options[name] = false;
    } else {
      options[name] = text;
    }
  }
  return options;
}

std::string path_of(const HttpRequest& request) {
  std::string_view path = request.path;
  if (path.starts_with(kApiPrefix)) path.remove_prefix(kApiPrefix.size());
  return std::string(path);
}

ChangeRequest request_of(const Call& call, const Route& route) {
  ChangeRequest request{route.change(call)};
  request.options = read_change_options(options_of(call), request.problems);
  request.if_match = call.request.if_match;
  request.source = {call.request.actor, "request", call.request.method, path_of(call.request),
                    call.request.body};
  return request;
}

HttpAnswer answer_of(const Applied& applied, const std::string& message) {
  Json data = applied.answer;
  data["generation"] = applied.generation;
  data["compile_us"] = applied.compile_us;
  data["flows"] = fates_to_json(applied.flows);
  if (applied.is_dry_run) {
    data["dry_run"] = true;
    return success(std::move(data), "Nothing was changed: this is what the change would do.",
                   applied.generation);
  }
  data["store_us"] = applied.store_us;
  data["swap_us"] = applied.swap_us;
  data["changes"] = applied.changes;
  return success(std::move(data), message, applied.generation);
}

}  // namespace

void submit_change(const Call& call, const Route& route, Respond respond) {
  Publisher& publisher = call.publisher;
  publisher.submit(
      request_of(call, route), [message = std::string(route.message), &publisher,
                                respond = std::move(respond)](const Result<Applied>& applied) {
        if (applied) return respond(answer_of(*applied, message));
        respond(applied.error().message == kStale ? stale(publisher.state()->generation)
                                                  : refusal(applied.error()));
      });
}

void submit_refused(const HttpRequest& http, Publisher& publisher, const rules::Error& error,
                    Respond respond) {
  ChangeRequest request{[error](const State&) -> Result<Outcome> { return fail(error); }};
  request.source = {http.actor, "request", http.method, path_of(http), http.body};
  publisher.submit(std::move(request),
                   [respond = std::move(respond)](const Result<Applied>& applied) {
                     respond(refusal(applied.error()));
                   });
}

namespace {

Json list_pending(const State& state) {
  Json changes = Json::array();
  for (const auto& [id, pending] : state.pending)
    changes.push_back(pending_to_public_json(*pending));
  return changes;
}

Result<AuditQuery> audit_query(const std::map<std::string, std::string>& query) {
  AuditQuery read;
  std::vector<rules::Problem> problems;
  Json given = Json::object();
  for (const auto& [name, value] : query)
    if (!value.empty()) given[name] = value;
  rules::FieldReader fields(given, "", problems);
  if (const auto limit = fields.number("limit", 1000))
    read.limit = static_cast<std::size_t>(*limit);
  if (problems.size() == 1 || read.limit == 0)
    problems = {{"limit", "must be a number from 1 to 1000"}};
  if (const auto after = fields.number("after", INT64_MAX)) read.after = *after;
  if (given.contains("since")) {
    UnixMs since = 0;
    if (parse_utc(given["since"].get<std::string>(), since)) {
      read.since = since;
    } else {
      fields.problem("since",
                     "must be a time such as 2026-01-31T09:30:00Z, or milliseconds since "
                     "1970");
    }
  }
  if (!problems.empty()) return fail(rules::refusal(std::move(problems)));
  return read;
}

const rules::Error kStopping{ErrorCode::unavailable, "The node is stopping.", {}};

void show_audit(const Call& call, Respond respond) {
  const auto query = audit_query(call.request.query);
  if (!query) return respond(refusal(query.error()));
  call.publisher.with_store(
      [query = *query, generation = call.state->generation, respond](Store* store) {
        if (store == nullptr) return respond(refusal(kStopping));
        const auto entries = store->read_audit(query);
        if (!entries) return respond(refusal(entries.error()));
        Json items = Json::array();
        for (const AuditEntry& entry : *entries) items.push_back(audit_to_json(entry));
        respond(success(std::move(items), "Success", generation));
      });
}

void give_backup(const Call& call, Respond respond) {
  call.publisher.with_store([generation = call.state->generation, respond](Store* store) {
    if (store == nullptr) return respond(refusal(kStopping));
    auto bytes = store->backup();
    if (!bytes) return respond(refusal(bytes.error()));
    HttpAnswer answer;
    answer.body = std::move(*bytes);
    answer.content_type = "application/vnd.sqlite3";
    answer.etag = fmt::format("\"{}\"", generation);
    respond(std::move(answer));
  });
}

}  // namespace

std::vector<Route> change_routes() {
  const auto later = [](std::string_view path, auto function, Role role) {
    Route route{"GET", path, {}, {}};
    route.later = function;
    route.role = role;
    return route;
  };
  return {
      {"GET", "/changes", state_view(list_pending), {}},
      {"POST", "/changes/{}/confirm", {}, with_id(confirm_change), "Change confirmed."},
      {"POST", "/changes/{}/rollback", {}, with_id(roll_back_change), "Change rolled back."},
      later("/audit", show_audit, Role::read),
      later("/backup", give_backup, Role::admin),
  };
}

}  // namespace sluice::control
