// SPDX-License-Identifier: Apache-2.0
//
// The daemon's options, from the command line and from a file; every limit an operator may set is
// named here.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "control/http_options.h"
#include "control/reload.h"
#include "dataplane/dpdk/dpdk_dataplane.h"
#include "dataplane/snapshot.h"
#include "rules/result.h"

namespace sluice::control {

struct Config {
  dataplane::dpdk::DpdkConfig dataplane;
  dataplane::Settings settings;
  std::string state = "/var/lib/sluice/state.db";
  HttpOptions http;
  ReloadFiles files;
  std::vector<std::string> api;  // empty: unix:/run/sluice/api.sock
  std::string log_level = "info";
  std::optional<std::string> answer;  // --help, --version: print this and exit 0
};

// Options on the command line win over those of --config FILE.
// Error: invalid, every option that is wrong or unknown.
[[nodiscard]] rules::Result<Config> read_config(int argc, const char* const* argv);

// "NAME,outside=DEV,inside=DEV[,vlan=ID]"; a device may hold commas of its own.
[[nodiscard]] rules::Result<dataplane::dpdk::ZoneConfig> parse_zone(const std::string& text);

}  // namespace sluice::control
