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

void force_option(po::options_description& options) {
  options.add_options()("force", "do not ask");
}

void vpc_options(po::options_description& options) {
  options.add_options()("name", po::value<std::string>()->value_name("NAME"), "the VPC's name")(
      "cidr", po::value<std::vector<std::string>>()->composing()->value_name("CIDR"),
      "a prefix of the VPC, IPv4 or IPv6; repeatable");
}

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

Outcome<int> table(Call& call) {
  const auto data = request(call, "GET", "/table/");
  if (!data) return tl::unexpected(data.error());
  if (call.json) {
    print_json({{"action", "table"}, {"table", *data}});
    return kExitOk;
  }
  std::vector<std::vector<std::string>> rows;
  for (const char* name :
       {"generation", "load_balancers", "policies", "size_bytes", "compile_us", "swap_us"})
    rows.push_back({name, field(*data, name)});
  for (const Json& worker : data->value("workers", Json::array()))
    rows.push_back(
        {"worker " + field(worker, "lcore"), "generation " + field(worker, "generation")});
  print_table({"TABLE", ""}, rows);
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
  } else {
    remark(call, field(*envelope, "message"));
  }
  return kExitOk;
}

Outcome<int> create_vpc(Call& call) {
  const Json body{{"vpc_name", call.text("name")}, {"cidrs", call.texts("cidr")}};
  const auto envelope = request_whole(call, "POST", "/vpc/", body);
  if (envelope && !call.json) print(field((*envelope)["data"], "vpc_id"));
  return vpc_answer(call, "create", envelope);
}

Outcome<int> delete_vpc(Call& call) {
  const auto vpcs = request(call, "GET", "/vpc/list/");
  if (!vpcs) return tl::unexpected(vpcs.error());
  for (const Json& vpc : *vpcs) {
    if (field(vpc, "vpc_id") != call.words[0] && field(vpc, "vpc_name") != call.words[0]) continue;
    const auto sure = confirm(call, fmt::format("Delete VPC {}?", field(vpc, "vpc_name")));
    if (!sure) return sure;
    return vpc_answer(call, "delete",
                      request_whole(call, "DELETE", "/vpc/" + field(vpc, "vpc_id") + "/"));
  }
  return fail(kExitNotFound, fmt::format("there is no VPC \"{}\"", call.words[0]),
              "sluicectl vpc list shows those there are");
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
      {"vpc delete", "VPC", "deletes a VPC that no rule names", "vpc delete prod --force", 1, 1,
       force_option, delete_vpc},
  };
}

}  // namespace sluice::control::cli
