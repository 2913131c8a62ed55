// SPDX-License-Identifier: Apache-2.0
#include "control/observe_json.h"

#include <fmt/format.h>

#include <map>

#include "dataplane/trace.h"
#include "rules/iana_protocols.h"
#include "rules/validate.h"

namespace sluice::control {
namespace {

using dataplane::FlowReport;
using dataplane::LbReport;
using rules::Json;

Json group_name_json(const State& state, rules::GroupId id) {
  const auto group = state.node.groups.find(id);
  return group == state.node.groups.end() ? Json() : Json(group->second->name);
}

rules::Address local_of(const dataplane::FlowKey& key) {
  return {key.local_high, key.local_low, key.family};
}
rules::Address remote_of(const dataplane::FlowKey& key) {
  return {key.remote_high, key.remote_low, key.family};
}

// A flow that a newer table allows knows the rule of an older one until its next packet.
rules::RuleRef rule_of(const FlowReport& flow, const rules::Table& table) {
  if (!flow.is_rule_stale) return flow.rule;
  const auto match = table.find_lb(flow.key.zone, local_of(flow.key));
  if (match.lb == 0) return flow.rule;
  return table.rule_of(dataplane::opener_of(flow, match.policy)).value_or(flow.rule);
}

Json direction_json(const LbReport& report, std::size_t direction) {
  const dataplane::DirectionCounts& counts = report.passed.by_direction[direction];
  Json dropped = Json::object();
  std::uint64_t total = 0;
  for (std::size_t i = 1; i < dataplane::kDropReasons; ++i) {
    total += report.dropped[direction][i];
    if (report.dropped[direction][i] != 0)
      dropped[std::string(dataplane::kDropReasonTexts[i].name)] = report.dropped[direction][i];
  }
  return {{"received", counts.received},
          {"passed", counts.passed},
          {"bytes_passed", counts.bytes_passed},
          {"dropped_total", total},
          {"dropped", std::move(dropped)}};
}

Json lb_json(const LbReport& report, const State& state) {
  const bool is_gone = report.passed.id == dataplane::Tally::Lbs::kOthers;
  const bool is_none = report.passed.id == 0;
  return {{"lb_id", is_none || is_gone ? Json() : Json(report.passed.id)},
          {"lb_name", lb_name_json(state, report.passed.id)},
          {"of", is_gone   ? "gone"
                 : is_none ? "none"
                           : "load_balancer"},
          {"inbound", direction_json(report, 0)},
          {"outbound", direction_json(report, 1)}};
}

Json rule_json(const dataplane::RuleCounts& counts, const rules::Rule* rule, const State& state) {
  const bool is_gone = counts.id == dataplane::Tally::Rules::kOthers;
  return {{"group_id", is_gone ? Json() : Json(counts.group)},
          {"group_name", is_gone ? Json() : group_name_json(state, counts.group)},
          {"rule_id", is_gone ? Json() : Json(counts.id)},
          {"of", is_gone ? "gone" : "rule"},
          {"rule_type", rule == nullptr ? Json() : Json(to_string(rule->direction))},
          {"protocol_name", rule == nullptr ? Json() : Json(to_string(rule->protocol))},
          {"port_range", rule == nullptr ? Json() : Json(to_string(rule->ports))},
          {"flows_opened", counts.flows_opened},
          {"packets_alone", counts.packets_alone}};
}

}  // namespace

std::string protocol_name(std::uint8_t protocol) {
  const std::string_view name = rules::iana_protocol_name(protocol);
  return name.empty() ? fmt::format("{}", protocol) : std::string(name);
}

Json lb_name_json(const State& state, rules::LbId id) {
  const auto lb = state.node.load_balancers.find(id);
  return lb == state.node.load_balancers.end() ? Json() : Json(lb->second->name);
}

Json found_rule_json(const rules::FoundRule& found) {
  return {{"group_id", found.group().id},
          {"group_name", found.group().name},
          {"rule_id", found.rule().id},
          {"text", rules::describe(found)}};
}

Json nearest_miss_json(const rules::NearestMiss& miss, const rules::PacketKey& key) {
  Json json = found_rule_json(miss.found);
  Json failed = Json::array();
  for (int i = rules::kMissFields - 1; i >= 0; --i) {
    const auto field = static_cast<rules::MissField>(i);
    if (miss.missed.has(field)) failed.push_back(to_string(field));
  }
  json["failed"] = std::move(failed);
  json["because"] = rules::describe_miss(miss, key);
  return json;
}

Json flow_json(const FlowReport& flow, const State& state, const rules::Table& table,
               const std::vector<std::string>& zones) {
  const rules::RuleRef rule = rule_of(flow, table);
  Json json{{"lb_id", flow.lb == 0 ? Json() : Json(flow.lb)},
            {"lb_name", lb_name_json(state, flow.lb)},
            {"zone", flow.key.zone < zones.size() ? Json(zones[flow.key.zone]) : Json()},
            {"protocol", protocol_name(flow.key.protocol)},
            {"local", rules::to_string(local_of(flow.key))},
            {"local_port", flow.key.local_port},
            {"remote", rules::to_string(remote_of(flow.key))},
            {"remote_port", flow.key.remote_port},
            {"opened", rules::to_string(flow.opener)},
            {"state", to_string(flow.state)},
            {"is_replied", flow.is_replied},
            {"idle_s", flow.idle_s},
            {"idle_left_s", flow.idle_left_s},
            {"fate", to_string(flow.outlook)},
            {"drain_left_s", Json()},
            {"generation", flow.generation},
            {"group_id", rule.group == 0 ? Json() : Json(rule.group)},
            {"group_name", group_name_json(state, rule.group)},
            {"rule_id", rule.rule == 0 ? Json() : Json(rule.rule)},
            {"worker", flow.worker}};
  if (flow.outlook == dataplane::FlowOutlook::draining) json["drain_left_s"] = flow.drain_left_s;
  return json;
}

Json lb_counts_json(const dataplane::TrafficReport& report, const State& state,
                    std::optional<rules::LbId> only) {
  Json list = Json::array();
  for (const LbReport& lb : report.lbs)
    if (!only || *only == lb.passed.id) list.push_back(lb_json(lb, state));
  return list;
}

Json rule_counts_json(const dataplane::TrafficReport& report, const State& state,
                      std::optional<rules::GroupId> only) {
  std::map<rules::RuleId, dataplane::RuleCounts> counted;
  for (const auto& counts : report.rules) counted[counts.id] = counts;
  Json list = Json::array();
  for (const auto& [id, group] : state.node.groups) {
    if (only && *only != id) continue;
    for (const rules::Rule& rule : group->rules) {
      auto counts = counted[rule.id];
      counted.erase(rule.id);
      counts.id = rule.id;
      counts.group = id;
      list.push_back(rule_json(counts, &rule, state));
    }
  }
  // Of rules that were changed a moment ago, and of those that are gone.
  for (const auto& [id, counts] : counted)
    if (!only && counts.flows_opened + counts.packets_alone != 0)
      list.push_back(rule_json(counts, nullptr, state));
  return list;
}

}  // namespace sluice::control
