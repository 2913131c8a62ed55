// SPDX-License-Identifier: Apache-2.0
//
// What a route is made of: the request as its function sees it, the envelope of its answer, and
// the ways to make a route of a view or of a use case.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/api.h"
#include "control/http_message.h"
#include "control/http_options.h"
#include "control/publisher.h"

namespace sluice::control {

// A request as a route's function sees it.
struct Call {
  const HttpRequest& request;
  std::uint32_t id = 0;  // from the path, where the route has one
  rules::Json body;      // of POST and PUT; an empty body is {}
  Publisher& publisher;
  StatePtr state;
  const ApiRooms& rooms;
};

// One of `read`, `change` and `later`: reads answer at once, changes go to the publisher, what is
// `later` answers when it can.
struct Route {
  std::string_view method;
  std::string_view path;  // below the prefix; "{}" is an id
  std::function<HttpAnswer(const Call&)> read;
  std::function<Publisher::Change(const Call&)> change;
  std::string_view message = "Success";  // of a change
  // Answers at once or later, from any thread.
  std::function<void(const Call&, Respond)> later{};
  // Who may; not given: read for reads, operate for changes.
  std::optional<Role> role{};
  std::uint64_t body_bytes_max = kBodyBytesMax;
  bool is_beside_prefix = false;  // the path is the whole path, as of /metrics
};

// The routes of API.md, by family.
[[nodiscard]] std::vector<Route> group_routes();
[[nodiscard]] std::vector<Route> lb_routes();
[[nodiscard]] std::vector<Route> vpc_routes();
[[nodiscard]] std::vector<Route> node_routes();     // table
[[nodiscard]] std::vector<Route> event_routes();    // streams
[[nodiscard]] std::vector<Route> change_routes();   // pending changes, audit, backup
[[nodiscard]] std::vector<Route> observe_routes();  // explain, drops, flows, counters
[[nodiscard]] std::vector<Route> apply_routes();    // whole documents
[[nodiscard]] std::vector<Route> system_routes();   // system rules, the last reload
[[nodiscard]] std::vector<Route> beside_routes();   // metrics
// All of them.
[[nodiscard]] std::vector<Route> all_routes();

[[nodiscard]] rules::Json envelope(unsigned code, rules::Json data, rules::Json errors,
                                   const std::string& message);
// A text that is not UTF-8 is mended, not thrown at.
[[nodiscard]] std::string dump(const rules::Json& json);
[[nodiscard]] HttpAnswer success(rules::Json data, const std::string& message,
                                 std::uint64_t generation);
[[nodiscard]] HttpAnswer refusal(const rules::Error& error);

// A read of (call).
template <class View>
std::function<HttpAnswer(const Call&)> view(View function) {
  return [function](const Call& call) {
    rules::Result<rules::Json> json = function(call);
    if (!json) return refusal(json.error());
    return success(std::move(*json), "Success", call.state->generation);
  };
}
// A read of (state), of (state, id).
template <class View>
std::function<HttpAnswer(const Call&)> state_view(View function) {
  return view(
      [function](const Call& call) -> rules::Result<rules::Json> { return function(*call.state); });
}
template <class View>
std::function<HttpAnswer(const Call&)> id_view(View function) {
  return view([function](const Call& call) { return function(*call.state, call.id); });
}

// A use case of (state, id, body), of (state, id), of (state, body).
template <class UseCase>
std::function<Publisher::Change(const Call&)> with_id_and_body(UseCase use_case) {
  return [use_case](const Call& call) -> Publisher::Change {
    return [use_case, id = call.id, body = call.body](const State& state) {
      return use_case(state, id, body);
    };
  };
}
template <class UseCase>
std::function<Publisher::Change(const Call&)> with_id(UseCase use_case) {
  return [use_case](const Call& call) -> Publisher::Change {
    return [use_case, id = call.id](const State& state) { return use_case(state, id); };
  };
}
template <class UseCase>
std::function<Publisher::Change(const Call&)> with_body(UseCase use_case) {
  return [use_case](const Call& call) -> Publisher::Change {
    return [use_case, body = call.body](const State& state) { return use_case(state, body); };
  };
}

}  // namespace sluice::control
