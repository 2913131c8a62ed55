// SPDX-License-Identifier: Apache-2.0
#include "control/observe_query.h"

#include <fmt/format.h>

#include <charconv>

#include "control/explain_question.h"
#include "rules/iana_protocols.h"
#include "rules/json.h"
#include "rules/printable.h"

namespace sluice::control {
namespace {

using rules::fail;
using rules::FieldReader;
using rules::Json;
using rules::quote;
using rules::Result;

// What is given empty is not given: "?lb=&remote=".
Json json_of(const QueryTexts& query) {
  Json json = Json::object();
  for (const auto& [name, value] : query)
    if (!value.empty()) json[name] = value;
  return json;
}

std::optional<rules::LbId> read_lb(FieldReader& fields, const State& state) {
  const auto word = fields.text("lb");
  if (!word) return std::nullopt;
  const auto lb = find_lb_by_word(state, *word);
  if (!lb) fields.problem("lb", fmt::format("there is no load balancer {}", quote(*word)));
  return lb;
}

std::optional<rules::AddressRange> read_range(FieldReader& fields, const char* name) {
  const auto text = fields.text(name);
  if (!text) return std::nullopt;
  if (text->find('/') != std::string::npos) {
    const auto prefix = fields.take(name, rules::parse_prefix(*text));
    if (!prefix) return std::nullopt;
    return rules::range_of(*prefix);
  }
  const auto address = fields.take(name, rules::parse_address(*text));
  if (!address) return std::nullopt;
  return rules::AddressRange{*address, *address};
}

std::size_t read_limit(FieldReader& fields, std::size_t otherwise, std::size_t max) {
  return static_cast<std::size_t>(fields.number("limit", max).value_or(otherwise));
}

// "ICMP" is the one of the address's family, where there is an address.
void read_protocol(FieldReader& fields, dataplane::FlowFilter& filter) {
  const auto text = fields.text("protocol");
  if (!text) return;
  const auto& range = filter.remote ? filter.remote : filter.local;
  const auto family = range ? range->first.family : rules::Family::ipv4;
  filter.protocol = fields.take("protocol", protocol_number(*text, family));
}

void read_state(FieldReader& fields, dataplane::FlowFilter& filter) {
  const auto text = fields.text("state");
  if (!text) return;
  std::string known;
  for (std::size_t i = 0; i < dataplane::kFlowStates; ++i) {
    const std::string_view name = to_string(static_cast<dataplane::FlowState>(i));
    known += (known.empty() ? "" : ", ") + std::string(name);
    if (name != *text) continue;
    filter.states = 1u << i;
    return;
  }
  fields.problem("state", fmt::format("{} is none of {}", quote(*text), known));
}

void read_cursor(FieldReader& fields, dataplane::FlowCursor& cursor) {
  const auto text = fields.text("cursor");
  if (!text) return;
  const char* const end = text->data() + text->size();
  const auto [dot, error] = std::from_chars(text->data(), end, cursor.worker);
  if (error == std::errc{} && dot != end && *dot == '.') {
    const auto [stop, second_error] = std::from_chars(dot + 1, end, cursor.cell);
    if (second_error == std::errc{} && stop == end) return;
  }
  fields.problem("cursor", fmt::format("{} is no next_cursor of a page", quote(*text)));
}

std::optional<dataplane::DropReason> read_reason(FieldReader& fields) {
  const auto text = fields.text("reason");
  if (!text) return std::nullopt;
  std::string known;
  for (std::size_t i = 1; i < dataplane::kDropReasons; ++i) {
    const std::string_view name = dataplane::kDropReasonTexts[i].name;
    if (name == *text) return static_cast<dataplane::DropReason>(i);
    known += (known.empty() ? "" : ", ") + std::string(name);
  }
  fields.problem("reason", fmt::format("{} is none of {}", quote(*text), known));
  return std::nullopt;
}

std::optional<rules::Direction> read_direction(FieldReader& fields) {
  const auto text = fields.text("direction");
  if (!text) return std::nullopt;
  if (rules::equals_ignoring_case(*text, "inbound")) return rules::Direction::inbound;
  if (rules::equals_ignoring_case(*text, "outbound")) return rules::Direction::outbound;
  fields.problem("direction", fmt::format("{} is neither inbound nor outbound", quote(*text)));
  return std::nullopt;
}

std::optional<rules::GroupId> read_group(FieldReader& fields, const State& state) {
  const auto word = fields.text("group");
  if (!word) return std::nullopt;
  for (const auto& [id, group] : state.node.groups)
    if (group->name == *word || fmt::format("{}", id) == *word) return id;
  fields.problem("group", fmt::format("there is no security group {}", quote(*word)));
  return std::nullopt;
}

}  // namespace

std::string cursor_text(const dataplane::FlowCursor& cursor) {
  return fmt::format("{}.{}", cursor.worker, cursor.cell);
}

Result<FlowQuery> read_flow_query(const QueryTexts& texts, const State& state) {
  const Json json = json_of(texts);
  std::vector<rules::Problem> problems;
  FieldReader fields(json, "", problems);
  FlowQuery query;
  query.filter.lb = read_lb(fields, state);
  query.filter.remote = read_range(fields, "remote");
  query.filter.local = read_range(fields, "local");
  read_protocol(fields, query.filter);
  if (const auto port = fields.number("port", 65'535))
    query.filter.port = static_cast<std::uint16_t>(*port);
  read_state(fields, query.filter);
  read_cursor(fields, query.cursor);
  query.limit = read_limit(fields, query.limit, kFlowsPageMax);
  if (!problems.empty()) return fail(rules::refusal(std::move(problems)));
  return query;
}

Result<DropQuery> read_drop_query(const QueryTexts& texts, const State& state) {
  const Json json = json_of(texts);
  std::vector<rules::Problem> problems;
  FieldReader fields(json, "", problems);
  DropQuery query;
  if (json.value("lb", "") == "none") {
    query.filter.lb = 0;
  } else {
    query.filter.lb = read_lb(fields, state);
  }
  query.filter.reason = read_reason(fields);
  query.filter.direction = read_direction(fields);
  query.limit = read_limit(fields, query.limit, kDropsKept);
  if (!problems.empty()) return fail(rules::refusal(std::move(problems)));
  return query;
}

Result<CounterQuery> read_counter_query(const QueryTexts& texts, const State& state) {
  const Json json = json_of(texts);
  std::vector<rules::Problem> problems;
  FieldReader fields(json, "", problems);
  CounterQuery query;
  query.lb = read_lb(fields, state);
  query.group = read_group(fields, state);
  query.is_summary = fields.is_one("summary");
  if (!problems.empty()) return fail(rules::refusal(std::move(problems)));
  return query;
}

}  // namespace sluice::control
