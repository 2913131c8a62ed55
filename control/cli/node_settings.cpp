// SPDX-License-Identifier: Apache-2.0
#include "control/cli/node_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace sluice::control::cli {
namespace {

using dataplane::FlowTimeouts;
using rules::FieldReader;
using rules::Json;
using rules::Problem;

constexpr std::uint64_t kTimeoutMax = 7 * 24 * 3600;
constexpr std::uint64_t kFlowsMax = 64u << 20;

void read_timeouts(const Json& json, FlowTimeouts& timeouts, std::vector<Problem>& problems) {
  if (!json.is_object()) return problems.push_back({"settings.timeouts", "must be an object"});
  FieldReader fields(json, "settings.timeouts.", problems);
  const std::array<std::pair<const char*, std::uint32_t*>, 8> known{{
      {"tcp_opening_s", &timeouts.tcp_opening_s},
      {"tcp_established_s", &timeouts.tcp_established_s},
      {"tcp_closing_s", &timeouts.tcp_closing_s},
      {"tcp_reset_s", &timeouts.tcp_reset_s},
      {"udp_unreplied_s", &timeouts.udp_unreplied_s},
      {"udp_replied_s", &timeouts.udp_replied_s},
      {"icmp_s", &timeouts.icmp_s},
      {"other_s", &timeouts.other_s},
  }};
  fields.refuse_others({"tcp_opening_s", "tcp_established_s", "tcp_closing_s", "tcp_reset_s",
                        "udp_unreplied_s", "udp_replied_s", "icmp_s", "other_s"});
  for (const auto& [name, value] : known)
    if (const auto seconds = fields.number(name, kTimeoutMax))
      *value = static_cast<std::uint32_t>(*seconds);
}

void read_zone(const Json& json, std::size_t index, NodeSettings& settings,
               std::vector<Problem>& problems) {
  const std::string where = fmt::format("settings.zones[{}]", index);
  if (!json.is_object()) return problems.push_back({where, "must be an object {name, vlan}"});
  FieldReader fields(json, where + ".", problems);
  fields.refuse_others({"name", "vlan"});
  const auto name = fields.text("name");
  if (!name) fields.problem("name", "missing");
  settings.zones.push_back(name.value_or(""));
  settings.vlans.push_back(static_cast<std::uint16_t>(fields.number("vlan", 4094).value_or(0)));
}

}  // namespace

rules::Result<NodeSettings> settings_from_json(const Json& json, const rules::Node& node) {
  NodeSettings settings;
  std::vector<Problem> problems;
  FieldReader fields(json, "settings.", problems);
  fields.refuse_others({"pass_unknown_addresses", "allow_ip_options", "verify_checksums",
                        "tracking", "adopt_seconds", "flows_max", "timeouts", "zones",
                        "system_rules", "pass_dhcp"});
  settings.plane.pass_unknown_addresses = fields.boolean("pass_unknown_addresses").value_or(false);
  settings.plane.pass_dhcp = fields.boolean("pass_dhcp").value_or(false);
  settings.plane.allow_ip_options = fields.boolean("allow_ip_options").value_or(false);
  // Off unless asked for: a capture taken where its packets were sent shows transports whose
  // checksums the port had yet to fill in.
  settings.plane.verify_checksums = fields.boolean("verify_checksums").value_or(false);
  if (const auto tracking = fields.text("tracking")) {
    if (*tracking == "rules_first") {
      settings.plane.tracking = dataplane::Tracking::rules_first;
    } else if (*tracking != "strict") {
      fields.problem("tracking",
                     fmt::format("\"{}\" is neither strict nor rules_first", *tracking));
    }
  }
  settings.plane.adopt_s =
      static_cast<std::uint32_t>(fields.number("adopt_seconds", kTimeoutMax).value_or(0));
  if (const auto flows = fields.number("flows_max", kFlowsMax)) {
    if (*flows == 0) fields.problem("flows_max", "must be at least 1");
    settings.flows_max = static_cast<std::uint32_t>(*flows);
  }
  if (fields.has("timeouts")) read_timeouts(json["timeouts"], settings.plane.timeouts, problems);
  if (const Json* zones = fields.array("zones")) {
    for (std::size_t i = 0; i < zones->size(); ++i) read_zone((*zones)[i], i, settings, problems);
  }
  if (fields.has("system_rules")) {
    auto system = rules::system_rules_from_json({{"system_rules", json["system_rules"]}}, nullptr);
    if (system) settings.system_rules = std::move(*system);
    if (!system)
      for (Problem& problem : system.error().problems)
        problems.push_back({"settings." + problem.where, std::move(problem.message)});
  }
  if (settings.zones.empty()) {
    const auto& lbs = node.load_balancers;
    settings.zones = {lbs.empty() ? "" : lbs.begin()->second->zone};
    settings.vlans = {0};
  }
  for (const auto& [id, lb] : node.load_balancers) {
    if (!lb->zone.empty() &&
        std::find(settings.zones.begin(), settings.zones.end(), lb->zone) == settings.zones.end())
      problems.push_back({fmt::format("load_balancers[{}].zone", id - 1),
                          fmt::format("\"{}\" is not among settings.zones", lb->zone)});
  }
  if (!problems.empty()) return rules::fail(rules::refusal(std::move(problems)));
  return settings;
}

}  // namespace sluice::control::cli
