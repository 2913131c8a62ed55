// SPDX-License-Identifier: Apache-2.0
//
// `sluicectl token create`: a secret for a client and the line of it for the daemon's token file.
#include "control/token.h"

#include <fmt/format.h>

#include "control/cli/cli.h"

namespace sluice::control::cli {
namespace {

void create_options(po::options_description& options) {
  options.add_options()("role", po::value<std::string>()->value_name("ROLE"),
                        "read, operate or admin (default: read)");
}

Outcome<int> create(Call& call) {
  Token token;
  token.name = call.words[0];
  if (!is_token_name(token.name))
    return fail(kExitUsage, fmt::format("\"{}\" is no name for a token", token.name),
                "1 to 50 of letters, digits, _ . and -");
  const auto role = read_role(call.has("role") ? call.text("role") : "read");
  if (!role || *role == Role::none)
    return fail(kExitUsage, "there is no such role", "--role read, operate or admin");
  token.role = *role;
  const std::string secret = make_secret();
  token.hash = hash_secret(secret);
  if (call.json) {
    print_json({{"action", "create"},
                {"token",
                 {{"name", token.name},
                  {"role", to_string(token.role)},
                  {"line", token_line(token)},
                  {"secret", secret}}}});
    return kExitOk;
  }
  print(token_line(token));
  // On the other stream, so that `>> tokens` keeps the secret out of the file.
  fmt::print(stderr, "The secret, shown this once: {}\n", secret);
  return kExitOk;
}

}  // namespace

Verb token_verb() {
  return {"token create",
          "NAME",
          "makes a token: its line for the daemon's --api-tokens file, and its secret; no daemon "
          "needed",
          "token create deploy --role operate >> /etc/sluice/tokens",
          1,
          1,
          create_options,
          create};
}

}  // namespace sluice::control::cli
