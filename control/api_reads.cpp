// SPDX-License-Identifier: Apache-2.0
#include "control/api_reads.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "control/load_balancer.h"
#include "rules/validate.h"

namespace sluice::control {
namespace {

using rules::ErrorCode;
using rules::fail;
using rules::Json;
using rules::Result;

Json group_json(const State& state, const rules::Group& group) {
  return rules::group_to_json(group, group.id == state.node.account_default_group);
}

Json attached_json(const State& state, const rules::LoadBalancer& lb, bool with_default) {
  Json groups = Json::array();
  for (rules::GroupId id : lb.groups) {
    if (!with_default && id == lb.default_group) continue;
    Json group = group_json(state, *state.node.groups.at(id));
    group["is_lb_default"] = id == lb.default_group;
    if (const auto at = state.expiries.find({lb.id, id}); at != state.expiries.end())
      group["expires_at"] = utc_text(at->second);
    groups.push_back(std::move(group));
  }
  return groups;
}

Json available_json(const State& state, const rules::LoadBalancer& lb) {
  Json groups = Json::array();
  for (const auto& [id, group] : state.node.groups)
    if (!is_attached(lb, id)) groups.push_back(group_json(state, *group));
  return groups;
}

Result<std::size_t> page_number(const Query& query, const std::string& name, std::size_t otherwise,
                                std::size_t max) {
  const auto given = query.find(name);
  if (given == query.end() || given->second.empty()) return otherwise;
  std::size_t value = 0;
  const char* end = given->second.data() + given->second.size();
  const auto [stop, error] = std::from_chars(given->second.data(), end, value);
  if (stop != end || error != std::errc{} || value < 1 || value > max) {
    return fail(rules::refusal({{name, fmt::format("must be a number from 1 to {}", max)}}));
  }
  return value;
}

Json counts_json(const dataplane::Counts& counts) {
  Json dropped = Json::object();
  for (std::size_t i = 1; i < dataplane::kDropReasons; ++i)
    dropped[std::string(dataplane::kDropReasonTexts[i].name)] = counts.dropped[i];
  return {{"received", counts.received},
          {"passed", counts.passed},
          {"dropped", std::move(dropped)},
          {"dropped_total", counts.dropped_total()},
          {"bytes_passed", counts.bytes_passed},
          {"flows_opened", counts.flows_opened},
          {"flows_live", counts.flows_live},
          {"flows_embryonic", counts.flows_embryonic},
          {"flows_adopted", counts.flows_adopted},
          {"flows_replaced", counts.flows_replaced},
          {"flows_replaced_by_share", counts.flows_replaced_by_share},
          {"flows_pressed", counts.flows_pressed},
          {"cells_free", counts.cells_free},
          {"cells_max", counts.cells_max},
          {"fragments_held", counts.fragments_held},
          {"datagrams_tracked", counts.datagrams_tracked},
          {"datagrams_replaced", counts.datagrams_replaced}};
}

}  // namespace

Json list_groups(const State& state) {
  Json groups = Json::array();
  for (const auto& [id, group] : state.node.groups) groups.push_back(group_json(state, *group));
  return groups;
}

Result<Json> show_group(const State& state, rules::GroupId id) {
  return find_group(state, id).map(
      [&](const rules::Group& group) { return group_json(state, group); });
}

Json list_vpcs(const State& state) {
  Json vpcs = Json::array();
  for (const auto& [id, vpc] : state.node.vpcs) vpcs.push_back(rules::vpc_to_json(*vpc));
  return vpcs;
}

Result<Json> show_vpc(const State& state, rules::VpcId id) {
  const auto vpc = state.node.vpcs.find(id);
  if (vpc == state.node.vpcs.end())
    return fail(ErrorCode::not_found, fmt::format("There is no VPC {}.", id));
  return rules::vpc_to_json(*vpc->second);
}

Result<Json> show_lb(const State& state, rules::LbId id) {
  return find_lb(state, id).map(
      [&](const rules::LoadBalancer& lb) { return lb_to_json(lb, state.node); });
}

Result<Json> show_node(const State& state, rules::LbId id) {
  return find_lb(state, id).map(lb_to_node_json);
}

Result<Json> list_attached(const State& state, rules::LbId id) {
  return find_lb_for_review(state, id).map(
      [&](const rules::LoadBalancer& lb) { return attached_json(state, lb, true); });
}

Result<Json> list_detachable(const State& state, rules::LbId id) {
  return find_lb_for_review(state, id).map(
      [&](const rules::LoadBalancer& lb) { return attached_json(state, lb, false); });
}

Result<Json> list_available(const State& state, rules::LbId id) {
  return find_lb_for_review(state, id).map(
      [&](const rules::LoadBalancer& lb) { return available_json(state, lb); });
}

Result<Json> show_tab(const State& state, rules::LbId id) {
  return find_lb_for_review(state, id).map([&](const rules::LoadBalancer& lb) {
    return Json{{"id", lb.id},
                {"name", lb.name},
                {"status", to_string(lb.status)},
                {"attached", attached_json(state, lb, true)},
                {"available", available_json(state, lb)},
                {"generation", state.generation}};
  });
}

namespace {

bool holds(std::string_view text, std::string_view lowercase_part) {
  const auto same = [](char c, char lower) {
    return std::tolower(static_cast<unsigned char>(c)) == lower;
  };
  return std::search(text.begin(), text.end(), lowercase_part.begin(), lowercase_part.end(),
                     same) != text.end();
}

// `text`, in lower case, is part of the name, an address or the status, or is the id.
bool is_found(const rules::LoadBalancer& lb, std::string_view text) {
  if (holds(lb.name, text) || holds(to_string(lb.status), text)) return true;
  if (text == std::to_string(lb.id)) return true;
  return std::any_of(lb.addresses.begin(), lb.addresses.end(),
                     [&](const auto& owned) { return holds(to_string(owned.address), text); });
}

std::string search_text(const Query& query) {
  const auto given = query.find("search");
  std::string text = given == query.end() ? "" : given->second;
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

}  // namespace

Result<Page> list_lbs(const State& state, const Query& query) {
  const auto page_no = page_number(query, "page_no", 1, 1'000'000);
  if (!page_no) return tl::unexpected(page_no.error());
  const auto per_page = page_number(query, "per_page", 100, 1000);
  if (!per_page) return tl::unexpected(per_page.error());
  const std::string search = search_text(query);
  Page page;
  page.items = Json::array();
  for (const auto& [id, lb] : state.node.load_balancers) {
    if (!search.empty() && !is_found(*lb, search)) continue;
    if (page.total_count++ / *per_page + 1 != *page_no) continue;
    page.items.push_back(lb_to_json(*lb, state.node));
  }
  page.total_pages = std::max<std::size_t>((page.total_count + *per_page - 1) / *per_page, 1);
  return page;
}

// What each policy costs, the largest first, to a bound.
Json policies_json(const rules::Table& table) {
  constexpr std::size_t kPoliciesShown = 100;
  auto reports = table.policy_reports();
  const auto size = [](const auto& report) { return report.size_bytes[0] + report.size_bytes[1]; };
  std::stable_sort(reports.begin(), reports.end(),
                   [&](const auto& a, const auto& b) { return size(a) > size(b); });
  Json policies = Json::array();
  for (const auto& report : reports) {
    if (policies.size() == kPoliciesShown) break;
    policies.push_back({{"security_group_ids", report.groups},
                        {"load_balancers", report.load_balancers},
                        {"inbound_bytes", report.size_bytes[0]},
                        {"outbound_bytes", report.size_bytes[1]}});
  }
  return policies;
}

Json show_table(const TableReport& report, const dataplane::Dataplane& plane) {
  Json workers = Json::array();
  for (const auto& worker : plane.workers())
    workers.push_back({{"lcore", worker.lcore},
                       {"generation", worker.generation},
                       {"silent_ms", worker.silent_ms},
                       {"is_hung", worker.is_hung}});
  Json json{{"compile_us", report.compile_us},
            {"swap_us", report.swap_us},
            {"instruction_set", rules::to_string(rules::best_instruction_set())},
            {"workers", std::move(workers)}};
  const rules::Table none;
  const rules::Table& table = report.table == nullptr ? none : *report.table;
  json["generation"] = table.generation();
  json["policies"] = table.policies();
  json["load_balancers"] = table.load_balancers();
  json["size_bytes"] = table.size_bytes();
  json["replica_bytes"] = table.image_bytes();
  json["policy_sizes"] = policies_json(table);
  return json;
}

Json show_counters(const TableReport& report, const dataplane::Dataplane& plane) {
  dataplane::Counts total;
  Json workers = Json::array();
  for (const auto& worker : plane.workers()) {
    total += worker.counts;
    Json json = counts_json(worker.counts);
    json["lcore"] = worker.lcore;
    json["generation"] = worker.generation;
    json["silent_ms"] = worker.silent_ms;
    json["is_hung"] = worker.is_hung;
    workers.push_back(std::move(json));
  }
  Json ports = Json::array();
  for (const auto& port : plane.ports()) {
    ports.push_back({{"device", port.device},
                     {"side", port.side},
                     {"rx_packets", port.rx_packets},
                     {"tx_packets", port.tx_packets},
                     {"rx_missed", port.rx_missed}});
  }
  return {{"generation", report.table == nullptr ? 0 : report.table->generation()},
          {"total", counts_json(total)},
          {"workers", std::move(workers)},
          {"ports", std::move(ports)}};
}

}  // namespace sluice::control
