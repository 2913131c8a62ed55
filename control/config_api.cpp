// SPDX-License-Identifier: Apache-2.0
#include "control/config_api.h"

#include <fmt/format.h>

#include <boost/program_options.hpp>

namespace sluice::control {

namespace po = boost::program_options;

po::options_description api_options(HttpOptions& http, std::vector<std::string>& addresses,
                                    std::string& unix_role) {
  po::options_description options("API");
  options.add_options()("api", po::value(&addresses)->value_name("ADDRESS"),
                        "unix:PATH (default unix:/run/sluice/api.sock), http://127.0.0.1:PORT, or "
                        "https://ADDRESS:PORT; repeatable")(
      "api-group", po::value(&http.unix_group)->value_name("GROUP"),
      "that may use UNIX sockets, beside root and the daemon's own user")(
      "api-unix-role", po::value(&unix_role)->default_value("admin")->value_name("ROLE"),
      "of that group's members: none, read, operate or admin")(
      "api-tokens", po::value(&http.tokens_path)->value_name("FILE"),
      "bearer tokens for TCP, a line each as `sluicectl token create` prints it; read anew when it "
      "changes")("api-cert", po::value(&http.certificate_path)->value_name("FILE"),
                 "certificate chain for https, PEM; read anew when it changes")(
      "api-key", po::value(&http.key_path)->value_name("FILE"), "its private key, PEM")(
      "api-host", po::value(&http.hosts)->value_name("NAME"),
      "a name that clients call this node by, beside localhost and addresses; repeatable")(
      "api-insecure-loopback", po::bool_switch(&http.insecure_loopback),
      "any local user may change everything over loopback TCP; without it, they may only read, and "
      "with tokens not even that")(
      "api-connections-max",
      po::value(&http.connections_max)->default_value(http.connections_max)->value_name("N"),
      "8 to 65536; one peer may have half of them")(
      "api-requests-max",
      po::value(&http.requests_max)->default_value(http.requests_max)->value_name("N"),
      "requests a second of one peer; 0: any number");
  return options;
}

void check_api_options(HttpOptions& http, const std::string& unix_role,
                       std::vector<rules::Problem>& problems) {
  if (const auto role = read_role(unix_role); role) {
    http.unix_role = *role;
  } else {
    problems.push_back(
        {"api-unix-role",
         fmt::format("--api-unix-role must be none, read, operate or admin, not \"{}\"",
                     unix_role)});
  }
  if (http.connections_max < 8 || http.connections_max > 65536) {
    problems.push_back(
        {"api-connections-max", fmt::format("--api-connections-max must be from 8 to 65536, not {}",
                                            http.connections_max)});
  }
}

}  // namespace sluice::control
