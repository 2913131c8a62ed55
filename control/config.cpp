// SPDX-License-Identifier: Apache-2.0
#include "control/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/program_options.hpp>
#include <charconv>
#include <fstream>
#include <sstream>

#include "control/config_api.h"

namespace sluice::control {
namespace {

namespace po = boost::program_options;
using dataplane::dpdk::TableReplicas;
using dataplane::dpdk::ZoneConfig;
using rules::ErrorCode;
using rules::fail;
using rules::Result;

constexpr std::string_view kVersion = SLUICE_VERSION;

tl::unexpected<rules::Error> bad_zone(const std::string& text, const std::string& why) {
  return fail(
      ErrorCode::invalid,
      fmt::format("--zone \"{}\": {}; write NAME,outside=DEV,inside=DEV[,vlan=ID]", text, why));
}

struct Timeout {
  const char* option;
  std::uint32_t dataplane::FlowTimeouts::*field;
  const char* of;
};
using dataplane::FlowTimeouts;
constexpr std::array<Timeout, 8> kTimeouts{{
    {"timeout-tcp-opening", &FlowTimeouts::tcp_opening_s, "a TCP handshake"},
    {"timeout-tcp-established", &FlowTimeouts::tcp_established_s, "an idle TCP connection"},
    {"timeout-tcp-closing", &FlowTimeouts::tcp_closing_s, "a TCP connection after FIN"},
    {"timeout-tcp-reset", &FlowTimeouts::tcp_reset_s, "a TCP connection after RST"},
    {"timeout-udp-unreplied", &FlowTimeouts::udp_unreplied_s, "UDP before a reply"},
    {"timeout-udp-replied", &FlowTimeouts::udp_replied_s, "UDP after a reply"},
    {"timeout-icmp", &FlowTimeouts::icmp_s, "ICMP echo"},
    {"timeout-other", &FlowTimeouts::other_s, "other protocols"},
}};
constexpr std::uint32_t kTimeoutMax = 7 * 24 * 3600;
constexpr std::uint32_t kAdoptSeconds = 60;
constexpr std::uint32_t kAdoptMax = 24 * 3600;

struct Options {
  po::options_description general{"General"};
  po::options_description api;
  po::options_description plane{"Data plane"};
  po::options_description timeouts{"Idle times, in seconds"};
  po::options_description file;
};

// Options whose text is read only when all are known.
struct Texts {
  std::vector<std::string> zones;
  std::string tracking;
  std::string table_replicas;
  std::string unix_role;
};

Options make_options(Config& config, Texts& texts) {
  Options options;
  auto& dpdk = config.dataplane;
  options.general.add_options()("help,h", "print this and exit")("version",
                                                                 "print the version and exit")(
      "config", po::value<std::string>()->value_name("FILE"),
      "options, one a line as name = value; those on the command line win");
  options.plane.add_options()(
      "zone", po::value(&texts.zones)->value_name("NAME,outside=DEV,inside=DEV[,vlan=ID]"),
      "a pair of ports, where DEV is a PCI address or DPDK devargs such as "
      "net_af_packet0,iface=eth1; repeatable; zones may share ports if their VLAN ids differ")(
      "workers", po::value(&dpdk.workers)->default_value(dpdk.workers)->value_name("N|CPUS"),
      "poll-mode workers: a count, or CPUs such as 2,4-6; each burns its CPU")(
      "flows-max", po::value(&dpdk.flows_max)->default_value(dpdk.flows_max)->value_name("N"),
      "tracked connections per worker, 1 to 67108864; about 88 bytes each, and IPv6 counts twice")(
      "datagrams-max",
      po::value(&dpdk.datagrams_max)->default_value(dpdk.datagrams_max)->value_name("N"),
      "datagrams in fragments tracked per worker, 1 to 1048576; about 712 bytes each")(
      "drop-records",
      po::value(&dpdk.drop_records_per_s)->default_value(dpdk.drop_records_per_s)->value_name("N"),
      "dropped packets a second, of each reason and worker, that are kept to be shown; 0: none")(
      "no-huge", po::bool_switch(), "do without huge pages (slower)")(
      "table-replicas", po::value(&texts.table_replicas)->default_value("node")->value_name("MODE"),
      "copies of the rule table: node (one for each NUMA node with workers, in huge pages), worker "
      "(one each), shared (none: all read the compiler's own)")(
      "watchdog-ms",
      po::value(&dpdk.watchdog_ms)->default_value(dpdk.watchdog_ms)->value_name("MS"),
      "a worker that polls no port for so long raises an alarm, 50 to 60000")(
      "no-rss", po::bool_switch(),
      "spread flows over the workers by handing frames over, also where the ports could spread "
      "them")("eal", po::value(&dpdk.eal)->value_name("\"ARGS\""),
              "further arguments for DPDK's EAL")(
      "pass-unknown-addresses", po::bool_switch(&config.settings.pass_unknown_addresses),
      "forward, unjudged, packets of addresses that no load balancer owns")(
      "pass-dhcp", po::bool_switch(&config.settings.pass_dhcp),
      "forward DHCP between load balancers and servers outside, judged by no rule")(
      "allow-ip-options", po::bool_switch(&config.settings.allow_ip_options),
      "forward IPv4 packets with options")(
      "tracking", po::value(&texts.tracking)->default_value("strict")->value_name("MODE"),
      "strict: every packet belongs to a connection or opens one; rules_first: what the rules "
      "allow "
      "in its own direction passes by them alone, which is faster and looser (no window checks of "
      "what passes so)")(
      "adopt-seconds",
      po::value(&config.settings.adopt_s)->default_value(kAdoptSeconds)->value_name("S"),
      "for so long after the start, TCP connections met in their middle are adopted if the rules "
      "allow them; 0: never")(
      "no-verify-checksums", po::bool_switch(),
      "trust the transport checksums of packets that open or end connections");
  options.general.add_options()(
      "state", po::value(&config.state)->default_value(config.state)->value_name("FILE"),
      "where acknowledged changes are kept")(
      "rules", po::value(&config.files.rules)->value_name("FILE"),
      "a node document, as sluicectl export gives it, that the node is made like at the start and "
      "on SIGHUP")(
      "system-rules", po::value(&config.files.system_rules)->value_name("FILE"),
      "rules of the node itself for every load balancer (monitoring, VRRP, BFD), which "
      "no security group opens to others or closes; read again on SIGHUP")(
      "log-level", po::value(&config.log_level)->default_value(config.log_level)->value_name("L"),
      "trace, debug, info, warning, error or off");
  for (const Timeout& timeout : kTimeouts) {
    std::uint32_t& field = config.settings.timeouts.*timeout.field;
    options.timeouts.add_options()(
        timeout.option, po::value(&field)->default_value(field)->value_name("S"), timeout.of);
  }
  options.api.add(api_options(config.http, config.api, texts.unix_role));
  options.file.add(options.general).add(options.api).add(options.plane).add(options.timeouts);
  return options;
}

std::string help_of(const Options& options) {
  std::ostringstream text;
  text << "sluiced " << kVersion
       << ": the security-group data plane of a load-balancer node\n\n"
          "usage: sluiced --zone NAME,outside=DEV,inside=DEV [OPTIONS]\n\n"
       << options.general << options.api << '\n'
       << options.plane << '\n'
       << options.timeouts
       << "\nExit status: 0 after SIGTERM or SIGINT, 1 if it could not start, 2 for a wrong "
          "option.\n";
  return text.str();
}

Result<void> check(Config& config, const Texts& texts) {
  std::vector<rules::Problem> problems;
  for (const std::string& text : texts.zones) {
    auto zone = parse_zone(text);
    if (zone) {
      config.dataplane.zones.push_back(std::move(*zone));
    } else {
      problems.push_back({"zone", zone.error().message});
    }
  }
  for (const Timeout& timeout : kTimeouts) {
    const std::uint32_t value = config.settings.timeouts.*timeout.field;
    if (value < 1 || value > kTimeoutMax) {
      problems.push_back({timeout.option, fmt::format("--{} must be from 1 to {} seconds, not {}",
                                                      timeout.option, kTimeoutMax, value)});
    }
  }
  check_api_options(config.http, texts.unix_role, problems);
  if (config.dataplane.watchdog_ms < 50 || config.dataplane.watchdog_ms > 60'000) {
    problems.push_back(
        {"watchdog-ms", fmt::format("--watchdog-ms must be from 50 to 60000 milliseconds, not {}",
                                    config.dataplane.watchdog_ms)});
  }
  if (texts.table_replicas == "shared") {
    config.dataplane.table_replicas = TableReplicas::shared;
  } else if (texts.table_replicas == "worker") {
    config.dataplane.table_replicas = TableReplicas::per_worker;
  } else if (texts.table_replicas != "node") {
    problems.push_back({"table-replicas",
                        fmt::format("--table-replicas must be node, worker or shared, not \"{}\"",
                                    texts.table_replicas)});
  }
  if (texts.tracking == "rules_first") {
    config.settings.tracking = dataplane::Tracking::rules_first;
  } else if (texts.tracking != "strict") {
    problems.push_back(
        {"tracking",
         fmt::format("--tracking must be strict or rules_first, not \"{}\"", texts.tracking)});
  }
  if (config.settings.adopt_s > kAdoptMax) {
    problems.push_back({"adopt-seconds", fmt::format("--adopt-seconds must be from 0 to {}, not {}",
                                                     kAdoptMax, config.settings.adopt_s)});
  }
  constexpr std::array<std::string_view, 6> kLevels{"trace",   "debug", "info",
                                                    "warning", "error", "off"};
  if (std::find(kLevels.begin(), kLevels.end(), config.log_level) == kLevels.end()) {
    problems.push_back(
        {"log-level", fmt::format("--log-level must be one of {}", fmt::join(kLevels, ", "))});
  }
  if (problems.empty()) return {};
  std::string message;
  for (const auto& problem : problems) message += (message.empty() ? "" : "\n") + problem.message;
  return fail(rules::Error{ErrorCode::invalid, std::move(message), std::move(problems)});
}

}  // namespace

Result<ZoneConfig> parse_zone(const std::string& text) {
  ZoneConfig zone;
  const std::size_t comma = text.find(',');
  zone.name = text.substr(0, comma);
  if (zone.name.empty() || zone.name.find('=') != std::string::npos)
    return bad_zone(text, "the name is missing");
  // A value runs to the next key of ours: a device has commas and keys of its own.
  constexpr std::array<std::string_view, 3> kKeys{",outside=", ",inside=", ",vlan="};
  std::string vlan;
  std::size_t at = comma;
  while (at < text.size()) {
    const auto key = std::find_if(kKeys.begin(), kKeys.end(), [&](std::string_view candidate) {
      return text.compare(at, candidate.size(), candidate) == 0;
    });
    if (key == kKeys.end()) return bad_zone(text, "outside=, inside= or vlan= is expected");
    const std::size_t first = at + key->size();
    std::size_t next = text.size();
    for (std::string_view candidate : kKeys)
      next = std::min({next, text.find(candidate, first), text.size()});
    std::string& value = *key == ",outside="  ? zone.outside
                         : *key == ",inside=" ? zone.inside
                                              : vlan;
    if (!value.empty()) return bad_zone(text, fmt::format("{} stands twice", key->substr(1)));
    value = text.substr(first, next - first);
    at = next;
  }
  if (zone.outside.empty()) return bad_zone(text, "outside= is missing");
  if (zone.inside.empty()) return bad_zone(text, "inside= is missing");
  if (!vlan.empty()) {
    unsigned id = 0;
    const auto [end, error] = std::from_chars(vlan.data(), vlan.data() + vlan.size(), id);
    if (error != std::errc{} || end != vlan.data() + vlan.size() || id < 1 || id > 4094)
      return bad_zone(text, "vlan must be a number from 1 to 4094");
    zone.vlan = static_cast<std::uint16_t>(id);
  }
  return zone;
}

Result<Config> read_config(int argc, const char* const* argv) try {
  Config config;
  Texts texts;
  const Options options = make_options(config, texts);
  po::variables_map values;
  po::store(po::command_line_parser(argc, argv).options(options.file).positional({}).run(), values);
  if (values.contains("help")) {
    config.answer = help_of(options);
    return config;
  }
  if (values.contains("version")) {
    config.answer = fmt::format("sluiced {}\n", kVersion);
    return config;
  }
  if (values.contains("config")) {
    const auto path = values["config"].as<std::string>();
    std::ifstream file(path);
    if (!file) {
      return fail(ErrorCode::invalid, fmt::format("--config {}: the file cannot be read", path));
    }
    po::store(po::parse_config_file(file, options.file), values);
  }
  po::notify(values);
  config.dataplane.huge_pages = !values["no-huge"].as<bool>();
  config.dataplane.rss = !values["no-rss"].as<bool>();
  config.settings.verify_checksums = !values["no-verify-checksums"].as<bool>();
  if (auto checked = check(config, texts); !checked) return tl::unexpected(checked.error());
  if (config.api.empty()) config.api = {"unix:/run/sluice/api.sock"};
  return config;
} catch (const po::error& error) {
  return fail(ErrorCode::invalid, std::string(error.what()) + "; sluiced --help lists the options");
}

}  // namespace sluice::control
