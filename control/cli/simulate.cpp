// SPDX-License-Identifier: Apache-2.0
//
// `sluicectl simulate`: the production pipeline over captures. No daemon, root or DPDK needed.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "control/cli/cli.h"
#include "control/cli/node_settings.h"
#include "dataplane/offline/replay.h"
#include "dataplane/trace.h"
#include "rules/compile.h"
#include "rules/node_json.h"
#include "rules/system_rules.h"

namespace sluice::control::cli {
namespace {

using dataplane::Side;
using dataplane::Verdict;
using dataplane::offline::Input;
using dataplane::offline::PcapWriter;
using dataplane::offline::Replay;

void options(po::options_description& options) {
  options.add_options()("node", po::value<std::string>()->value_name("NODE.json"),
                        "VPCs, groups and load balancers, as POST /apply/ takes them")(
      "outside", po::value<std::string>()->value_name("A.pcap"), "frames that come from outside")(
      "inside", po::value<std::string>()->value_name("B.pcap"), "frames that come from inside")(
      "verdicts", po::value<std::string>()->value_name("OUT.jsonl"),
      "one JSON line a packet (default: - for standard output)")(
      "write-passed", po::value<std::string>()->value_name("DIR"),
      "what left by each side, as DIR/outside.pcap and DIR/inside.pcap");
}

struct Setup {
  rules::Node node;
  NodeSettings settings;
  std::shared_ptr<const dataplane::Snapshot> snapshot;
  std::vector<std::uint16_t> zone_of_vlan;
};

tl::unexpected<Failure> refuse(const std::string& path, const rules::Error& error) {
  rules::Error named = error;
  named.message = path + ": " + error.message;
  return failure_of(named, fmt::format("sluicectl check {} shows the places", path));
}

Outcome<Setup> set_up(const std::string& path) {
  const auto text = read_text(path);
  if (!text) return tl::unexpected(text.error());
  const auto json = rules::parse_json(*text);
  if (!json) return refuse(path, json.error());
  auto document = rules::node_from_json(*json);
  if (!document) return refuse(path, document.error());
  auto settings = settings_from_json(document->settings, document->node);
  if (!settings) return refuse(path, settings.error());
  document->node.system_rules = settings->system_rules;
  auto table = rules::Compiler().compile(document->node, settings->zones, 1);
  if (!table) return refuse(path, table.error());
  auto snapshot = std::make_shared<const dataplane::Snapshot>(
      dataplane::Snapshot{std::move(*table), settings->plane});
  std::vector<std::uint16_t> zone_of_vlan(dataplane::kVlans, dataplane::kNoZone);
  for (std::size_t i = 0; i < settings->vlans.size(); ++i)
    zone_of_vlan[settings->vlans[i]] = static_cast<std::uint16_t>(i);
  return Setup{std::move(document->node), std::move(*settings), std::move(snapshot),
               std::move(zone_of_vlan)};
}

Outcome<std::vector<Input>> read_inputs(const Call& call) {
  std::vector<Input> sides[2];
  for (const auto& [name, side] : {std::pair{"outside", Side::outside}, {"inside", Side::inside}}) {
    if (!call.has(name)) continue;
    auto inputs = dataplane::offline::read_pcap(call.text(name), side);
    if (!inputs) return failure_of(inputs.error(), "give a pcap or pcapng file of Ethernet");
    sides[static_cast<std::size_t>(side)] = std::move(*inputs);
  }
  return dataplane::offline::merge(std::move(sides[0]), std::move(sides[1]));
}

std::string or_null(bool present, const std::string& text) {
  return present ? Json(text).dump(-1, ' ', false, Json::error_handler_t::replace) : "null";
}

// Of a packet that no rule allowed: the one that came nearest, and what it failed. Nothing: of a
// later fragment, or where no group is attached.
std::string nearest_miss_of(const Input& input, const Verdict& verdict, const Setup& setup) {
  if (verdict.reason != dataplane::DropReason::no_rule &&
      verdict.reason != dataplane::DropReason::icmp_unrelated)
    return "";
  const auto view = dataplane::rules_view(*setup.snapshot, input.bytes,
                                          static_cast<std::uint32_t>(input.bytes.size()),
                                          {input.side, setup.zone_of_vlan.data()});
  if (!view) return "";
  const auto explanation = dataplane::explain(*setup.snapshot->table, *view);
  if (!explanation.nearest) return "";
  return fmt::format("{}: {}", rules::describe(explanation.nearest->found),
                     rules::describe_miss(*explanation.nearest, view->key));
}

std::string line_of(std::size_t number, const Input& input, const Verdict& verdict,
                    const Setup& setup) {
  const rules::Node& node = setup.node;
  const auto lb = node.load_balancers.find(verdict.lb);
  const std::string group = rules::group_name(node, verdict.rule.group);
  const std::string nearest = nearest_miss_of(input, verdict, setup);
  return fmt::format(
      R"({{"n":{},"ts":{}.{:09},"from":"{}","verdict":"{}","reason":{},"flow":"{}","lb":{},)"
      R"("group":{},"rule":{},"generation":{},"nearest_miss":{}}})"
      "\n",
      number, input.time_ns / 1'000'000'000, input.time_ns % 1'000'000'000,
      input.side == Side::outside ? "outside" : "inside", verdict.passes() ? "pass" : "drop",
      or_null(!verdict.passes(), std::string(to_string(verdict.reason))), to_string(verdict.flow),
      or_null(lb != node.load_balancers.end(),
              lb != node.load_balancers.end() ? lb->second->name : ""),
      or_null(!group.empty(), group),
      verdict.rule.rule != 0 ? std::to_string(verdict.rule.rule) : "null", verdict.generation,
      or_null(!nearest.empty(), nearest));
}

// Where the verdicts and the passed frames go.
struct Outputs {
  std::FILE* verdicts = stdout;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> owned{nullptr, std::fclose};
  std::vector<PcapWriter> passed;  // by the side a frame left, outside first
};

Outcome<Outputs> open_outputs(const Call& call) {
  Outputs outputs;
  const std::string path = call.has("verdicts") ? call.text("verdicts") : "-";
  if (path != "-") {
    outputs.owned.reset(std::fopen(path.c_str(), "w"));
    if (!outputs.owned) return fail(kExitGeneral, fmt::format("{} cannot be written", path));
    outputs.verdicts = outputs.owned.get();
  }
  if (!call.has("write-passed")) return outputs;
  const std::filesystem::path folder = call.text("write-passed");
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  for (const char* name : {"outside.pcap", "inside.pcap"}) {
    auto writer = PcapWriter::open((folder / name).string());
    if (!writer) return failure_of(writer.error());
    outputs.passed.push_back(std::move(*writer));
  }
  return outputs;
}

void summarise(const Call& call, const dataplane::Counts& counts) {
  remark(call, fmt::format("{} packets: {} passed, {} dropped; {} flows opened", counts.received,
                           counts.passed, counts.dropped_total(), counts.flows_opened));
  for (std::size_t i = 1; i < dataplane::kDropReasons; ++i) {
    if (counts.dropped[i] == 0) continue;
    remark(call,
           fmt::format("  {:>8}  {}: {}", counts.dropped[i], dataplane::kDropReasonTexts[i].name,
                       dataplane::kDropReasonTexts[i].sentence));
  }
}

Outcome<int> simulate(Call& call) {
  if (!call.has("node")) return fail(kExitUsage, "--node is missing", "name a node document");
  if (!call.has("outside") && !call.has("inside"))
    return fail(kExitUsage, "there is nothing to judge", "give --outside or --inside a capture");
  const auto setup = set_up(call.text("node"));
  if (!setup) return tl::unexpected(setup.error());
  const auto inputs = read_inputs(call);
  if (!inputs) return tl::unexpected(inputs.error());
  auto outputs = open_outputs(call);
  if (!outputs) return tl::unexpected(outputs.error());

  Replay replay(setup->settings.flows_max);
  replay.set_zone(0, dataplane::kNoZone);
  for (std::size_t i = 0; i < setup->settings.vlans.size(); ++i)
    replay.set_zone(setup->settings.vlans[i], static_cast<std::uint16_t>(i));
  replay.publish(setup->snapshot);
  // A fragment that came before its first has its line when it has its verdict.
  const auto dispose = [&](std::size_t number, const Verdict& verdict, dataplane::TimeNs now) {
    const Input& input = (*inputs)[number];
    const std::string line = line_of(number + 1, input, verdict, *setup);
    std::fwrite(line.data(), 1, line.size(), outputs->verdicts);
    if (verdict.passes() && !outputs->passed.empty())
      outputs->passed[input.side == Side::outside ? 1 : 0].write(now, input.bytes);
  };
  const auto dispose_released = [&](dataplane::TimeNs now) {
    for (const auto& released : replay.take_released())
      dispose(released.number, released.verdict, now);
  };
  for (std::size_t i = 0; i < inputs->size(); ++i) {
    const dataplane::TimeNs now = (*inputs)[i].time_ns;
    const Verdict verdict = replay.judge((*inputs)[i]);
    if (!verdict.is_held) dispose(i, verdict, now);
    dispose_released(now);
  }
  replay.finish();
  dispose_released(inputs->empty() ? 0 : inputs->back().time_ns);
  for (PcapWriter& writer : outputs->passed)
    if (auto closed = writer.close(); !closed) return failure_of(closed.error());
  if (std::fflush(outputs->verdicts) != 0)
    return fail(kExitGeneral, "the verdicts could not be written", "is the disk full?");
  const dataplane::Counts counts = replay.counts();
  if (call.json) {
    Json dropped = Json::object();
    for (std::size_t i = 1; i < dataplane::kDropReasons; ++i)
      if (counts.dropped[i] != 0)
        dropped[std::string(dataplane::kDropReasonTexts[i].name)] = counts.dropped[i];
    fmt::print(stderr, "{}\n",
               Json{{"action", "simulate"},
                    {"received", counts.received},
                    {"passed", counts.passed},
                    {"dropped", dropped}}
                   .dump());
  }
  summarise(call, counts);
  return kExitOk;
}

}  // namespace

Verb simulate_verb() {
  return {"simulate",
          "",
          "judges captures by a node document, packet by packet; no daemon needed",
          "simulate --node node.json --outside in.pcap --inside out.pcap",
          0,
          0,
          options,
          simulate};
}

}  // namespace sluice::control::cli
