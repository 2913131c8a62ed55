// SPDX-License-Identifier: Apache-2.0
//
// The routes by which the node tells what it does: explain, drops, flows, counters. What must wait
// for workers is asked on the observer's thread.
#include <fmt/format.h>

#include "control/api_events.h"
#include "control/api_reads.h"
#include "control/api_route.h"
#include "control/explain_question.h"
#include "control/observe_json.h"
#include "control/observe_query.h"
#include "control/observer.h"
#include "rules/validate.h"

namespace sluice::control {
namespace {

using rules::ErrorCode;
using rules::fail;
using rules::Json;
using rules::Result;

// Answers with what `question` says, once the observer has come to it.
void answer_later(const Call& call, Respond respond, std::function<Result<Json>()> question) {
  if (call.rooms.observer == nullptr)
    return respond(refusal({ErrorCode::not_found, "Nothing observes this node's workers.", {}}));
  const auto shared = std::make_shared<Respond>(std::move(respond));
  const bool is_waiting = call.rooms.observer->ask(
      [question = std::move(question), shared, &publisher = call.publisher] {
        const auto answer = question();
        (*shared)(answer ? success(*answer, "Success", publisher.state()->generation)
                         : refusal(answer.error()));
      });
  if (is_waiting) return;
  HttpAnswer answer = refusal({ErrorCode::unavailable,
                               "Too many questions to the workers wait; ask again in a moment.",
                               {}});
  answer.headers = {{"Retry-After", "1"}};
  (*shared)(std::move(answer));
}

void ask_explain(const Call& call, Respond respond) {
  auto question = read_explain_question(call.body, *call.state, call.publisher.zones());
  if (!question) return respond(refusal(question.error()));
  answer_later(call, std::move(respond),
               [question = std::move(*question), &publisher = call.publisher] {
                 return explain(question, publisher);
               });
}

Result<Json> list_flows(const FlowQuery& query, Publisher& publisher) {
  const auto page = publisher.dataplane().flows(query.filter, query.cursor, query.limit);
  const auto table = publisher.table().table;
  const StatePtr state = publisher.state();
  if (table == nullptr) return fail(ErrorCode::unavailable, "The node enforces nothing yet.");
  Json flows = Json::array();
  for (const auto& flow : page.flows)
    flows.push_back(flow_json(flow, *state, *table, publisher.zones()));
  return Json{{"flows", std::move(flows)},
              {"matched", page.matched},
              {"is_exact", page.is_counted_to_the_end},
              {"next_cursor", page.next ? Json(cursor_text(*page.next)) : Json()},
              {"silent_workers", page.silent_workers}};
}

void ask_flows(const Call& call, Respond respond) {
  auto query = read_flow_query(call.request.query, *call.state);
  if (!query) return respond(refusal(query.error()));
  answer_later(call, std::move(respond), [query = std::move(*query), &publisher = call.publisher] {
    return list_flows(query, publisher);
  });
}

void ask_counters(const Call& call, Respond respond) {
  const auto query = read_counter_query(call.request.query, *call.state);
  if (!query) return respond(refusal(query.error()));
  if (query->is_summary || call.rooms.observer == nullptr) {
    return respond(success(show_counters(call.publisher.table(), call.publisher.dataplane()),
                           "Success", call.state->generation));
  }
  answer_later(call, std::move(respond),
               [query = *query, &publisher = call.publisher]() -> Result<Json> {
                 const auto traffic = publisher.dataplane().traffic();
                 const StatePtr state = publisher.state();
                 Json json = show_counters(publisher.table(), publisher.dataplane());
                 json["load_balancers"] = lb_counts_json(traffic, *state, query.lb);
                 json["rules"] = rule_counts_json(traffic, *state, query.group);
                 json["silent_workers"] = traffic.silent_workers;
                 return json;
               });
}

// One row a reason, LB and direction that has any.
Json drop_counts_json(const dataplane::TrafficReport& traffic, const DropFilter& filter,
                      const State& state) {
  Json rows = Json::array();
  for (const auto& lb : traffic.lbs) {
    if (filter.lb && *filter.lb != lb.passed.id) continue;
    for (const auto direction : {rules::Direction::inbound, rules::Direction::outbound}) {
      if (filter.direction && *filter.direction != direction) continue;
      for (std::size_t i = 1; i < dataplane::kDropReasons; ++i) {
        if (filter.reason && static_cast<std::size_t>(*filter.reason) != i) continue;
        const std::uint64_t count = lb.dropped[static_cast<std::size_t>(direction)][i];
        if (count == 0) continue;
        const bool is_lb = lb.passed.id != 0 && lb.passed.id != dataplane::Tally::Lbs::kOthers;
        rows.push_back({{"reason", dataplane::kDropReasonTexts[i].name},
                        {"lb_id", is_lb ? Json(lb.passed.id) : Json()},
                        {"lb_name", lb_name_json(state, lb.passed.id)},
                        {"direction", rules::to_string(direction)},
                        {"packets", count}});
      }
    }
  }
  return rows;
}

Result<Json> list_drops(const DropQuery& query, Publisher& publisher, const Observer& observer) {
  const auto traffic = publisher.dataplane().traffic();
  const StatePtr state = publisher.state();
  Json recent = Json::array();
  for (const auto& drop : observer.drops().recent(query.filter, query.limit))
    recent.push_back(drop->json);
  Json by_reason = Json::object();
  std::uint64_t not_recorded = 0;
  Json counts = drop_counts_json(traffic, query.filter, *state);
  std::uint64_t total = 0;
  for (const Json& row : counts) {
    const auto packets = row["packets"].get<std::uint64_t>();
    Json& sum = by_reason[row["reason"].get<std::string>()];
    sum = (sum.is_null() ? 0 : sum.get<std::uint64_t>()) + packets;
    total += packets;
  }
  for (const auto& worker : publisher.dataplane().workers())
    not_recorded += worker.drops_not_recorded;
  return Json{{"total", total},
              {"by_reason", std::move(by_reason)},
              {"counts", std::move(counts)},
              {"recent", std::move(recent)},
              {"not_recorded", not_recorded},
              {"silent_workers", traffic.silent_workers}};
}

void ask_drops(const Call& call, Respond respond) {
  auto query = read_drop_query(call.request.query, *call.state);
  if (!query) return respond(refusal(query.error()));
  answer_later(
      call, std::move(respond),
      [query = std::move(*query), &publisher = call.publisher, observer = call.rooms.observer] {
        return list_drops(query, publisher, *observer);
      });
}

// A subscriber's filter sees only the event's text, so it looks for what the JSON was made from.
HttpAnswer stream_drops(const Call& call) {
  const auto query = read_drop_query(call.request.query, *call.state);
  if (!query) return refusal(query.error());
  EventHub::Start start;
  const DropFilter& filter = query->filter;
  if (filter.lb || filter.reason || filter.direction) {
    start.wants = [filter](const Event& event) {
      const Json drop = Json::parse(event.data, nullptr, false);
      if (!drop.is_object()) return false;
      if (filter.lb && drop.value("lb_id", Json()) != (*filter.lb == 0 ? Json() : Json(*filter.lb)))
        return false;
      if (filter.reason && drop.value("reason", "") != to_string(*filter.reason)) return false;
      return !filter.direction ||
             drop.value("direction", "") == rules::to_string(*filter.direction);
    };
  }
  return stream_answer(call, kDropsTopic, std::move(start));
}

Route asked(std::string_view method, std::string_view path,
            std::function<void(const Call&, Respond)> question) {
  Route route{method, path, {}, {}};
  route.role = Role::read;
  route.later = std::move(question);
  return route;
}

}  // namespace

std::vector<Route> observe_routes() {
  return {
      asked("POST", "/explain", ask_explain),     asked("GET", "/flows", ask_flows),
      asked("GET", "/counters", ask_counters),    asked("GET", "/drops", ask_drops),
      {"GET", "/drops/stream", stream_drops, {}},
  };
}

}  // namespace sluice::control
