// SPDX-License-Identifier: Apache-2.0
//
// `sluicectl check FILE`: a list of rules, a group, or a whole node document, without a daemon.
#include <fmt/format.h>

#include <algorithm>

#include "control/cli/cli.h"
#include "control/cli/node_settings.h"
#include "rules/compile.h"
#include "rules/json_place.h"
#include "rules/node_json.h"

namespace sluice::control::cli {
namespace {

void check_options(po::options_description& options) {
  options.add_options()("system-rules", "FILE holds the node's own rules (sluiced --system-rules)");
}

struct Checked {
  rules::Node node;
  rules::Json settings = Json::object();
  std::string what;  // "a node document", …
};

// On a load balancer of its own, to be compiled.
Checked checked_alone(rules::Group group) {
  Checked checked;
  group.id = 1;
  checked.node.groups[1] = std::make_shared<const rules::Group>(std::move(group));
  rules::LoadBalancer lb;
  lb.id = 1;
  lb.name = "check";
  lb.groups = {1};
  checked.node.load_balancers[1] = std::make_shared<const rules::LoadBalancer>(std::move(lb));
  return checked;
}

bool is_node_document(const Json& json) {
  return json.is_object() &&
         (json.contains("load_balancers") || json.contains("security_groups") ||
          json.contains("vpcs") || json.contains("settings") || json.contains("default_group"));
}

rules::Result<Checked> read_system_rules(const Json& json) {
  return rules::system_rules_from_json(json, nullptr).map([](auto system) {
    Checked checked = checked_alone(system->group);
    checked.what = "list of system rules";
    return checked;
  });
}

rules::Result<Checked> read(const Json& json) {
  if (is_node_document(json)) {
    return rules::node_from_json(json).map([](rules::NodeDocument document) {
      return Checked{std::move(document.node), std::move(document.settings), "node document"};
    });
  }
  const bool is_list = json.is_array();
  Json group_json = is_list ? Json{{"name", "rules"}, {"rules", json}} : json;
  // A file of rules need not say the name that `create --name` will give.
  if (group_json.is_object() && !group_json.contains("name")) group_json["name"] = "rules";
  auto group = rules::group_from_json(group_json, {});
  if (!group) {
    if (is_list) {
      for (auto& problem : group.error().problems)
        if (problem.where.starts_with("rules")) problem.where.erase(0, 5);
    }
    return tl::unexpected(group.error());
  }
  Checked checked = checked_alone(std::move(*group));
  checked.what = is_list ? "list of rules" : "security group";
  return checked;
}

// Diagnostics on stderr as compilers write them; with --json the problems as a list.
Outcome<int> report(const Call& call, const std::string& path, const std::string& text,
                    const rules::Error& error) {
  std::vector<rules::Problem> problems = error.problems;
  if (problems.empty()) problems.push_back({"", error.message});
  const auto placed = rules::place(text, std::move(problems));
  if (call.json) {
    Json items = Json::array();
    for (const auto& [at, line, problem] : placed) {
      items.push_back({{"line", at.line},
                       {"column", at.column},
                       {"field", problem.where},
                       {"message", problem.message}});
    }
    print_json({{"action", "check"}, {"file", path}, {"ok", false}, {"items", items}});
  }
  for (const auto& problem : placed)
    fmt::print(stderr, "{}", rules::diagnostic(printable(path), problem));
  return fail(error.code == rules::ErrorCode::capacity ? kExitCapacity : kExitUsage,
              fmt::format("{}: {} problem{}", path, placed.size(), placed.size() == 1 ? "" : "s"));
}

Outcome<int> check(Call& call) {
  const std::string& path = call.words[0];
  const auto text = read_text(path);
  if (!text) return tl::unexpected(text.error());
  const auto json = rules::parse_json(*text);
  if (!json) return report(call, path, *text, json.error());
  const auto checked = call.has("system-rules") ? read_system_rules(*json) : read(*json);
  if (!checked) return report(call, path, *text, checked.error());
  const auto settings = settings_from_json(checked->settings, checked->node);
  if (!settings) return report(call, path, *text, settings.error());
  rules::Node node = checked->node;
  node.system_rules = settings->system_rules;
  const auto table = rules::Compiler().compile(node, settings->zones, 1);
  if (!table) return report(call, path, *text, table.error());

  std::size_t rules = 0;
  for (const auto& [id, group] : checked->node.groups) rules += group->rules.size();
  if (call.json) {
    print_json({{"action", "check"},
                {"file", path},
                {"ok", true},
                {"rules", rules},
                {"table_bytes", (*table)->size_bytes()}});
  } else {
    print(printable(fmt::format("{}: a {}, in order: {} rules, {} bytes of table", path,
                                checked->what, rules, (*table)->size_bytes())));
  }
  return kExitOk;
}

}  // namespace

Verb check_verb() {
  return {"check",
          "FILE",
          "checks a list of rules, a group or a node document; no daemon needed",
          "check office.json",
          1,
          1,
          check_options,
          check};
}

}  // namespace sluice::control::cli
