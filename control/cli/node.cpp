// SPDX-License-Identifier: Apache-2.0
//
// Verbs on the node: counters, table, VPCs.
#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <thread>

#include "control/cli/cli.h"
#include "dataplane/verdict.h"

namespace sluice::control::cli {
namespace {

void no_options(po::options_description&) {}

void stats_options(po::options_description& options) {
  options.add_options()("watch", po::value<unsigned>()->value_name("SECONDS"),
                        "print again every so many seconds, until interrupted");
}

void delete_options(po::options_description& options) {
  options.add_options()("force", "do not ask");
  change_options(options);
}

void vpc_options(po::options_description& options) {
  options.add_options()("name", po::value<std::string>()->value_name("NAME"), "the VPC's name")(
      "cidr", po::value<std::vector<std::string>>()->composing()->value_name("CIDR"),
      "a prefix of the VPC, IPv4 or IPv6; repeatable");
  change_options(options);
}

// Counts of flows that are shown where they are not 0.
constexpr std::pair<const char*, const char*> kFlowWords[] = {
    {"flows_embryonic", "without a reply"},
    {"flows_pressed", "opened with less than a quarter of the room left"},
    {"flows_replaced", "without a reply, that gave way in a full table"},
    {"flows_replaced_by_share", "the same, beyond the share of their host"},
    {"flows_adopted", "adopted after the start"},
};

void print_stats(const Json& data) {
  std::vector<std::vector<std::string>> rows;
  const auto row = [&](const Json& counts, const std::string& name) {
    rows.push_back({name, field(counts, "generation"), field(counts, "received"),
                    field(counts, "passed"), field(counts, "dropped_total"),
                    field(counts, "flows_live"), field(counts, "flows_opened")});
  };
  for (const Json& worker : data.value("workers", Json::array()))
    row(worker, "worker " + field(worker, "lcore"));
  Json total = data.value("total", Json::object());
  total["generation"] = data.value("generation", Json());
  row(total, "all");
  print_table({"", "GENERATION", "RECEIVED", "PASSED", "DROPPED", "FLOWS", "OPENED"}, rows);
  for (const Json& worker : data.value("workers", Json::array()))
    if (worker.value("is_hung", false))
      fmt::print(stderr, "Warning: worker {} hangs: it has polled no port for {} ms\n",
                 field(worker, "lcore"), field(worker, "silent_ms"));

  rows.clear();
  rows.push_back(
      {"room for IPv4 flows", field(total, "cells_free") + " of " + field(total, "cells_max")});
  for (const auto& [name, words] : kFlowWords)
    if (total.value(name, std::uint64_t{0}) != 0) rows.push_back({words, field(total, name)});
  print("");
  print_table({"FLOWS", ""}, rows);

  rows.clear();
  const Json dropped = total.value("dropped", Json::object());
  for (const auto& reason : dataplane::kDropReasonTexts) {
    const std::string name(reason.name);
    if (dropped.value(name, std::uint64_t{0}) != 0)
      rows.push_back({name, field(dropped, name.c_str()), std::string(reason.sentence)});
  }
  if (!rows.empty()) {
    print("");
    print_table({"DROPPED", "PACKETS", "BECAUSE"}, rows);
  }
  rows.clear();
  for (const Json& port : data.value("ports", Json::array()))
    rows.push_back({field(port, "side"), field(port, "device"), field(port, "rx_packets"),
                    field(port, "tx_packets"), field(port, "rx_missed")});
  print("");
  print_table({"PORT", "DEVICE", "RECEIVED", "SENT", "MISSED"}, rows);
}

Outcome<int> stats(Call& call) {
  while (true) {
    const auto data = request(call, "GET", "/counters/");
    if (!data) return tl::unexpected(data.error());
    if (call.json) {
      print_json({{"action", "stats"}, {"stats", *data}});
    } else {
      print_stats(*data);
    }
    if (!call.has("watch")) return kExitOk;
    std::fflush(stdout);
    std::this_thread::sleep_for(
        std::chrono::seconds(std::max(1u, call.options["watch"].as<unsigned>())));
    if (!call.json) print("");
  }
}

// The largest policies.
void print_policies(const Json& policies) {
  constexpr std::size_t kShown = 10;
  std::vector<std::vector<std::string>> rows;
  for (const Json& policy : policies) {
    if (rows.size() == kShown) break;
    std::string groups;
    for (const Json& id : policy.value("security_group_ids", Json::array()))
      groups += (groups.empty() ? "" : ",") + id.dump();
    rows.push_back({groups, field(policy, "load_balancers"), field(policy, "inbound_bytes"),
                    field(policy, "outbound_bytes")});
  }
  if (!rows.empty())
    print_table({"POLICY (GROUPS)", "LBS", "INBOUND BYTES", "OUTBOUND BYTES"}, rows);
}

Outcome<int> table(Call& call) {
  const auto data = request(call, "GET", "/table/");
  if (!data) return tl::unexpected(data.error());
  if (call.json) {
    print_json({{"action", "table"}, {"table", *data}});
    return kExitOk;
  }
  std::vector<std::vector<std::string>> rows;
  for (const char* name : {"generation", "load_balancers", "policies", "size_bytes",
                           "replica_bytes", "compile_us", "swap_us", "instruction_set"})
    rows.push_back({name, field(*data, name)});
  for (const Json& worker : data->value("workers", Json::array()))
    rows.push_back(
        {"worker " + field(worker, "lcore"), "generation " + field(worker, "generation")});
  print_table({"TABLE", ""}, rows);
  print_policies(data->value("policy_sizes", Json::array()));
  return kExitOk;
}

Outcome<int> list_vpcs(Call& call) {
  const auto vpcs = request(call, "GET", "/vpc/list/");
  if (!vpcs) return tl::unexpected(vpcs.error());
  if (call.json) {
    print_json({{"action", "list"}, {"items", *vpcs}});
    return kExitOk;
  }
  std::vector<std::vector<std::string>> rows;
  for (const Json& vpc : *vpcs) {
    std::string cidrs;
    for (const Json& cidr : vpc.value("cidrs", Json::array()))
      cidrs += (cidrs.empty() ? "" : ", ") + cidr.get<std::string>();
    rows.push_back({field(vpc, "vpc_id"), field(vpc, "vpc_name"), cidrs});
  }
  print_table({"ID", "NAME", "PREFIXES"}, rows);
  return kExitOk;
}

Outcome<int> vpc_answer(const Call& call, const char* action, const Outcome<Json>& envelope) {
  if (!envelope) return tl::unexpected(envelope.error());
  if (call.json) {
    print_json({{"action", action}, {"vpc", (*envelope)["data"]}});
  } else if (call.has("dry-run")) {
    print_dry_run((*envelope)["data"]);
  } else {
    remark(call, field(*envelope, "message"));
    remark_on_change(call, (*envelope)["data"]);
  }
  return kExitOk;
}

Outcome<int> create_vpc(Call& call) {
  const Json body =
      with_change_options(call, {{"vpc_name", call.text("name")}, {"cidrs", call.texts("cidr")}});
  const auto envelope = request_whole(call, "POST", "/vpc/", body);
  if (envelope && !call.json && !call.has("dry-run")) print(field((*envelope)["data"], "vpc_id"));
  return vpc_answer(call, "create", envelope);
}

// By id or by name.
Outcome<Json> find_vpc(const Call& call, const std::string& word) {
  const auto vpcs = request(call, "GET", "/vpc/list/");
  if (!vpcs) return tl::unexpected(vpcs.error());
  for (const char* name : {"vpc_id", "vpc_name"})
    for (const Json& vpc : *vpcs)
      if (field(vpc, name) == word) return vpc;
  return fail(kExitNotFound, fmt::format("there is no VPC \"{}\"", word),
              "sluicectl vpc list shows those there are");
}

std::string path_of(const Json& vpc) {
  return "/vpc/" + field(vpc, "vpc_id") + "/";
}

Outcome<int> update_vpc(Call& call) {
  if (!call.has("name") && !call.has("cidr"))
    return fail(kExitUsage, "nothing to change", "give --name or --cidr");
  const auto vpc = find_vpc(call, call.words[0]);
  if (!vpc) return tl::unexpected(vpc.error());
  const Json body{{"vpc_name", call.has("name") ? Json(call.text("name")) : (*vpc)["vpc_name"]},
                  {"cidrs", call.has("cidr") ? Json(call.texts("cidr")) : (*vpc)["cidrs"]}};
  return vpc_answer(call, "update",
                    request_whole(call, "PUT", path_of(*vpc), with_change_options(call, body)));
}

Outcome<int> delete_vpc(Call& call) {
  const auto vpc = find_vpc(call, call.words[0]);
  if (!vpc) return tl::unexpected(vpc.error());
  if (!call.has("dry-run")) {
    const auto sure = confirm(call, fmt::format("Delete VPC {}?", field(*vpc, "vpc_name")));
    if (!sure) return sure;
  }
  return vpc_answer(call, "delete",
                    request_whole(call, "DELETE", path_of(*vpc) + change_query(call)));
}

}  // namespace

std::vector<Verb> node_verbs() {
  return {
      {"stats", "", "packets received, passed and dropped, by worker and reason", "stats --watch 1",
       0, 0, stats_options, stats},
      {"table", "", "the table in force", "table --json", 0, 0, no_options, table},
      {"vpc list", "", "the VPCs that rules may name", "vpc list", 0, 0, no_options, list_vpcs},
      {"vpc create", "", "creates a VPC; prints its id",
       "vpc create --name prod --cidr 10.8.0.0/16", 0, 0, vpc_options, create_vpc},
      {"vpc update", "VPC", "replaces a VPC's name or prefixes; rules that name it follow",
       "vpc update prod --cidr 10.8.0.0/16 --cidr fd00:8::/48", 1, 1, vpc_options, update_vpc},
      {"vpc delete", "VPC", "deletes a VPC that no rule names", "vpc delete prod --force", 1, 1,
       delete_options, delete_vpc},
  };
}

}  // namespace sluice::control::cli
