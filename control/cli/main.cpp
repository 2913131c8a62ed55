// SPDX-License-Identifier: Apache-2.0
//
// sluicectl: finds the verb, reads its options, runs it, prints its failure.
#include <curl/curl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "control/cli/cli.h"

namespace {

using namespace sluice::control::cli;
namespace po = boost::program_options;

constexpr const char* kDefaultApi = "unix:/run/sluice/api.sock";

std::vector<Verb> all_verbs() {
  std::vector<Verb> verbs = group_verbs();
  for (const auto& family : {lb_verbs(),
                             node_verbs(),
                             change_verbs(),
                             apply_verbs(),
                             {check_verb(), simulate_verb(), token_verb()}})
    verbs.insert(verbs.end(), family.begin(), family.end());
  return verbs;
}

po::options_description global_options() {
  po::options_description options("For every verb");
  options.add_options()("json", "one JSON object on standard output")(
      "api", po::value<std::string>()->value_name("ADDRESS"),
      "the daemon: unix:PATH, http://127.0.0.1:PORT or https://HOST:PORT (default: SLUICE_API, "
      "else "
      "unix:/run/sluice/api.sock)")(
      "token-file", po::value<std::string>()->value_name("FILE"),
      "the secret of a token for http and https (default: SLUICE_TOKEN)")(
      "ca", po::value<std::string>()->value_name("FILE"),
      "certificates that the daemon's is trusted by, PEM (default: the system's)")(
      "quiet,q", "no remarks on standard error")("help,h", "print this and exit")(
      "version", "print the version and exit");
  return options;
}

void print_help(const std::vector<Verb>& verbs) {
  fmt::print(
      "sluicectl {}: security groups of a load-balancer node\n\n"
      "usage: sluicectl VERB [ARGUMENTS] [OPTIONS]\n\n",
      SLUICE_VERSION);
  std::size_t width = 0;
  const auto usage = [](const Verb& verb) {
    return fmt::format("{}{}{}", verb.words, verb.arguments.empty() ? "" : " ", verb.arguments);
  };
  for (const Verb& verb : verbs) width = std::max(width, usage(verb).size());
  for (const Verb& verb : verbs) fmt::print("  {:<{}}  {}\n", usage(verb), width, verb.summary);
  std::ostringstream options;
  options << global_options();
  fmt::print(
      "\n{}\nsluicectl VERB --help tells more.\n\nExit status: 0 ok, 1 general, 2 wrong usage "
      "or bad input, 3 permission,\n4 configuration, 5 daemon or store unreachable, 10 not "
      "found, 11 conflict, 12 capacity.\n",
      options.str());
}

void print_verb_help(const Verb& verb) {
  po::options_description own("Options");
  verb.add_options(own);
  std::ostringstream options;
  if (!own.options().empty()) options << own << '\n';
  options << global_options();
  fmt::print("usage: sluicectl {} {}\n\n{}\n\nFor example:\n  sluicectl {}\n\n{}", verb.words,
             verb.arguments, verb.summary, verb.example, options.str());
}

int print_failure(const Failure& failure, bool json) {
  if (json) {
    Json object{{"error", failure.error},
                {"details", failure.details},
                {"next_step", failure.next_step},
                {"exit_code", failure.exit_code}};
    fmt::print(stderr, "{}\n", object.dump(-1, ' ', false, Json::error_handler_t::replace));
    return failure.exit_code;
  }
  const bool colour = isatty(2) != 0 && std::getenv("NO_COLOR") == nullptr;
  fmt::print(stderr, "{}Error:{} {}\n", colour ? "\033[31m" : "", colour ? "\033[0m" : "",
             printable(failure.error));
  for (std::size_t i = 0; i < failure.details.size(); ++i)
    fmt::print(stderr, "{} {}\n", i == 0 ? "Details:" : "        ", printable(failure.details[i]));
  if (!failure.next_step.empty())
    fmt::print(stderr, "Next step: {}\n", printable(failure.next_step));
  return failure.exit_code;
}

// "sluicectl --json lb list" reads as "sluicectl lb list --json".
void move_leading_options(std::vector<std::string>& arguments) {
  std::size_t count = 0;
  while (count < arguments.size() && arguments[count].starts_with('-'))
    count += arguments[count] == "--api" || arguments[count] == "--token-file" ||
                     arguments[count] == "--ca"
                 ? 2
                 : 1;
  std::rotate(arguments.begin(),
              arguments.begin() + static_cast<std::ptrdiff_t>(std::min(count, arguments.size())),
              arguments.end());
}

// The verb that the arguments begin with; its words are taken off.
const Verb* take_verb(const std::vector<Verb>& verbs, std::vector<std::string>& arguments) {
  for (std::size_t words = std::min<std::size_t>(2, arguments.size()); words > 0; --words) {
    const std::string name = words == 2 ? arguments[0] + " " + arguments[1] : arguments[0];
    const auto verb = std::find_if(verbs.begin(), verbs.end(),
                                   [&](const Verb& known) { return known.words == name; });
    if (verb == verbs.end()) continue;
    arguments.erase(arguments.begin(), arguments.begin() + static_cast<std::ptrdiff_t>(words));
    return &*verb;
  }
  return nullptr;
}

int run_verb(const Verb& verb, const std::vector<std::string>& arguments, bool json) {
  po::options_description described = global_options();
  verb.add_options(described);
  described.add_options()("word", po::value<std::vector<std::string>>());
  po::positional_options_description positions;
  positions.add("word", -1);
  Call call;
  try {
    po::store(po::command_line_parser(arguments).options(described).positional(positions).run(),
              call.options);
    po::notify(call.options);
  } catch (const po::error& error) {
    return print_failure({kExitUsage,
                          error.what(),
                          {},
                          fmt::format("sluicectl {} --help lists the options", verb.words)},
                         json);
  }
  if (call.has("help")) {
    print_verb_help(verb);
    return kExitOk;
  }
  call.words = call.texts("word");
  call.json = call.has("json");
  call.quiet = call.has("quiet");
  const char* environment = std::getenv("SLUICE_API");
  call.api = call.has("api") ? call.text("api") : environment ? environment : kDefaultApi;
  if (call.words.size() < verb.words_min || call.words.size() > verb.words_max) {
    return print_failure({kExitUsage,
                          fmt::format("{} takes {}", verb.words,
                                      verb.arguments.empty() ? "no arguments" : verb.arguments),
                          {},
                          fmt::format("sluicectl {} --help tells more", verb.words)},
                         call.json);
  }
  const Outcome<int> outcome = verb.run(call);
  return outcome ? *outcome : print_failure(outcome.error(), call.json);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<Verb> verbs = all_verbs();
  std::vector<std::string> arguments(argv + 1, argv + argc);
  const bool json = std::find(arguments.begin(), arguments.end(), "--json") != arguments.end();
  if (arguments.empty()) {
    print_help(verbs);
    return kExitUsage;
  }
  if (arguments[0] == "--help" || arguments[0] == "-h" || arguments[0] == "help") {
    print_help(verbs);
    return kExitOk;
  }
  if (arguments[0] == "--version") {
    print(fmt::format("sluicectl {}", SLUICE_VERSION));
    return kExitOk;
  }
  move_leading_options(arguments);
  const Verb* verb = take_verb(verbs, arguments);
  if (verb == nullptr) {
    return print_failure({kExitUsage,
                          fmt::format("there is no verb \"{}\"", arguments[0]),
                          {},
                          "sluicectl --help lists the verbs"},
                         json);
  }
  curl_global_init(CURL_GLOBAL_DEFAULT);
  try {
    return run_verb(*verb, arguments, json);
  } catch (const std::exception& exception) {
    return print_failure({kExitGeneral, exception.what(), {}, ""}, json);
  }
}
