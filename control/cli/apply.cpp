// SPDX-License-Identifier: Apache-2.0
//
// Verbs on whole documents: apply, export.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "control/change_options.h"
#include "control/cli/cli.h"
#include "control/cli/file_problems.h"
#include "control/plan.h"

namespace sluice::control::cli {
namespace {

void apply_options(po::options_description& options) {
  options.add_options()("file,f", po::value<std::string>()->value_name("FILE"),
                        "the document, as export gives it; - for standard input")(
      "exit-code", "with --dry-run: exit 1 if something would change")(
      "flows", po::value<std::string>()->value_name("FATE"),
      "of live flows no longer allowed: cut (default), keep or drain:SECONDS")(
      "generation", po::value<std::string>()->value_name("N"),
      "refuse if the node is not at this generation any more");
  change_options(options);
}

void export_options(po::options_description& options) {
  options.add_options()("output,o", po::value<std::string>()->value_name("FILE"),
                        "write to FILE instead of standard output");
}

// A diff as people know it: green, red, yellow on a terminal that wants colours.
void print_plan(const Json& plan) {
  const bool colours = isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
  for (const PlanLine& line : plan_lines(plan)) {
    const std::string text = fmt::format(
        "{} {}", line.mark == '-' ? "−" : std::string(1, line.mark), printable(line.text));
    const char* colour = line.mark == '+' ? "\033[32m" : line.mark == '-' ? "\033[31m" : "\033[33m";
    print(colours ? fmt::format("{}{}\033[0m", colour, text) : text);
  }
}

struct Document {
  std::string text;
  Json json;
};

Outcome<Document> read_document(const Call& call, const std::string& path) {
  auto text = read_text(path);
  if (!text) return tl::unexpected(text.error());
  auto json = rules::parse_json(*text);
  if (!json) {
    Failure failure{kExitUsage, json.error().message, {}, "", json.error().problems};
    return refused(call, path, *text, std::move(failure));
  }
  if (!json->is_object())
    return refused(call, path, *text,
                   {kExitUsage, "", {}, "", {{"", "a node document must be an object"}}});
  // Options are the command's: in the file they would change what it does unseen.
  for (const char* name : kChangeOptions)
    if (json->contains(name))
      return refused(
          call, path, *text,
          {kExitUsage, "", {}, "", {{name, "is an option of apply, not of a document"}}});
  return Document{std::move(*text), std::move(*json)};
}

// Of a dry run, beside the plan: who would no longer be reached, and the live connections.
void print_effects(Json data) {
  data.erase("rules");  // the plan tells them
  if (data.contains("flows")) print_dry_run(data);
}

void report(const Call& call, const Json& data) {
  const Json plan = data.value("plan", Json::array());
  print_plan(plan);
  for (const Json& section : data.value("ignored", Json::array()))
    remark(call, fmt::format("\"{}\" is for offline use and was left out.",
                             section.is_string() ? section.get<std::string>() : ""));
  if (plan.empty()) {
    print("Nothing to change.");
  } else if (data.value("dry_run", false)) {
    print_effects(data);
    remark(call, "Nothing was changed: this was a dry run.");
  } else {
    remark(call, fmt::format("Applied. Enforced by {}.", enforced_by(data)));
    remark_on_change(call, data);
  }
}

Outcome<int> apply(Call& call) {
  if (!call.has("file"))
    return fail(kExitUsage, "--file is missing", "sluicectl apply -f node.json --dry-run");
  if (call.has("exit-code") && !call.has("dry-run"))
    return fail(kExitUsage, "--exit-code asks what would change and needs --dry-run",
                "add --dry-run, or leave --exit-code out");
  const std::string path = call.text("file");
  auto document = read_document(call, path);
  if (!document) return tl::unexpected(document.error());
  call.if_match = call.text("generation");
  const auto envelope =
      request_whole(call, "POST", "/apply/", with_change_options(call, document->json));
  if (!envelope) return refused(call, path, document->text, envelope.error());
  const Json data = envelope->value("data", Json::object());
  if (call.json) {
    print_json({{"action", "apply"}, {"file", path}, {"apply", data}});
  } else {
    report(call, data);
  }
  const bool differs = !data.value("plan", Json::array()).empty();
  return call.has("exit-code") && differs ? kExitGeneral : kExitOk;
}

// Beside the file first, then in its place: a failure leaves the old one whole.
Outcome<int> write_file(const std::string& path, const std::string& text) {
  const std::string beside = path + ".new";
  std::ofstream file(beside, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file || std::rename(beside.c_str(), path.c_str()) != 0) {
    const std::string reason = std::strerror(errno);
    std::remove(beside.c_str());
    return fail(kExitGeneral, fmt::format("{} cannot be written: {}", path, reason),
                "check the folder and its permissions");
  }
  return kExitOk;
}

Outcome<int> export_node(Call& call) {
  const auto envelope = request_whole(call, "GET", "/export/");
  if (!envelope) return tl::unexpected(envelope.error());
  const Json document = envelope->value("data", Json::object());
  if (!call.has("output") || call.text("output") == "-") {
    print_json(call.json ? Json{{"action", "export"}, {"document", document}} : document);
    return kExitOk;
  }
  const std::string path = call.text("output");
  const auto written =
      write_file(path, document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  if (!written) return written;
  if (call.json) {
    print_json({{"action", "export"}, {"file", path}});
  } else {
    remark(call, fmt::format("Written to {}.", path));
  }
  return kExitOk;
}

Outcome<int> system_rules(Call& call) {
  const auto rules = request(call, "GET", "/system_rules/");
  if (!rules) return tl::unexpected(rules.error());
  if (call.json) {
    print_json({{"action", "list"}, {"items", *rules}});
    return kExitOk;
  }
  std::vector<std::vector<std::string>> rows;
  for (const Json& rule : *rules) {
    const std::string network = field(rule, "network");
    rows.push_back({field(rule, "rule_type"), field(rule, "protocol_name"),
                    field(rule, "port_range"), network,
                    network == "manual" ? field(rule, "network_cidr") : "--",
                    network == "manual" ? field(rule, "network_size") : "--",
                    rule.value("reserve", false) ? "yes" : "no", field(rule, "description")});
  }
  if (rows.empty()) {
    remark(call, "The node has no system rules (sluiced --system-rules).");
  } else {
    print_table({"DIRECTION", "PROTOCOL", "PORT RANGE", "NETWORK TYPE", "FIRST IP", "SIZE",
                 "RESERVED", "DESCRIPTION"},
                rows);
  }
  return kExitOk;
}

void no_options(po::options_description&) {}

}  // namespace

std::vector<Verb> apply_verbs() {
  return {
      {"apply", "", "makes the node what a document says, in one change; prints the difference",
       "apply -f node.json --dry-run --exit-code", 0, 0, apply_options, apply},
      {"export", "", "the node as a document that apply takes", "export -o node.json", 0, 0,
       export_options, export_node},
      {"system-rules", "", "the rules of the node itself, for every load balancer", "system-rules",
       0, 0, no_options, system_rules},
  };
}

}  // namespace sluice::control::cli
