// SPDX-License-Identifier: Apache-2.0
//
// Verbs on security groups, and the rules of an LB in the portal's five columns.
#include <fmt/format.h>

#include "control/cli/cli.h"
#include "control/cli/file_problems.h"

namespace sluice::control::cli {
namespace {

void no_options(po::options_description&) {}

void which_option(po::options_description& options) {
  options.add_options()("id", po::value<std::string>()->value_name("ID"), "the group's id")(
      "name", po::value<std::string>()->value_name("NAME"), "the group's name");
}

void delete_options(po::options_description& options) {
  which_option(options);
  options.add_options()("force", "do not ask");
  change_options(options);
}

void create_options(po::options_description& options) {
  change_options(options);
  options.add_options()("name", po::value<std::string>()->value_name("NAME"),
                        "1-50 of letters, digits, _ and -")(
      "rules-file", po::value<std::string>()->value_name("FILE"),
      "JSON: a list of rules, or a group with its rules; - for standard input")(
      "description", po::value<std::string>()->value_name("TEXT"), "for people")(
      "default", "make it the default group of load balancers created from now on");
}

void flows_option(po::options_description& options) {
  options.add_options()("flows", po::value<std::string>()->value_name("FATE"),
                        "live connections that are no longer allowed: cut (default), keep, or "
                        "drain:SECONDS");
}

// "; 3 connections are cut, 2 drain": what became of live connections, where any was concerned.
std::string fates_of(const Json& data) {
  const Json flows = data.value("flows", Json::object());
  std::string text;
  for (const auto& [name, words] :
       {std::pair{"cut", "cut"}, {"kept", "kept"}, {"draining", "draining"}}) {
    const auto count = flows.value(name, std::uint64_t{0});
    if (count != 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, words);
  }
  if (text.empty()) text = "none concerned";
  if (!flows.value("complete", true)) text += " so far, still counting";
  return text;
}

void update_options(po::options_description& options) {
  create_options(options);
  flows_option(options);
  options.add_options()("id", po::value<std::string>()->value_name("ID"), "the group's id")(
      "new-name", po::value<std::string>()->value_name("NAME"), "rename it");
}

void detach_or_attach_options(po::options_description& options) {
  options.add_options()("security-group-id",
                        po::value<std::vector<std::string>>()->composing()->value_name("ID"),
                        "a group, by id or name; repeatable");
  flows_option(options);
  change_options(options);
}

void attach_options(po::options_description& options) {
  detach_or_attach_options(options);
  expiry_option(options);
}

void detach_options(po::options_description& options) {
  detach_or_attach_options(options);
  options.add_options()("force", "do not ask");
}

Outcome<Json> group_meant(const Call& call) {
  if (!call.words.empty()) return find_group(call, call.words[0]);
  for (const char* name : {"id", "name"})
    if (call.has(name)) return find_group(call, call.text(name));
  return fail(kExitUsage, "which group?", "name it: --name NAME or --id ID");
}

Outcome<int> list(Call& call) {
  const auto groups = request(call, "GET", "/security_group/");
  if (!groups) return tl::unexpected(groups.error());
  if (call.json) {
    print_json({{"action", "list"}, {"items", *groups}});
    return kExitOk;
  }
  std::vector<std::vector<std::string>> rows;
  for (const Json& group : *groups)
    rows.push_back({field(group, "id"), field(group, "name"),
                    group.value("is_default", false) ? "default" : "",
                    std::to_string(group.value("rules", Json::array()).size()),
                    field(group, "description")});
  print_table({"ID", "NAME", "", "RULES", "DESCRIPTION"}, rows);
  return kExitOk;
}

void print_rules(const Json& group) {
  for (const char* direction : {"Inbound", "Outbound"}) {
    std::vector<std::vector<std::string>> rows;
    for (const Json& rule : group.value("rules", Json::array())) {
      if (field(rule, "rule_type") != direction) continue;
      std::string protocol = field(rule, "protocol_name");
      if (!field(rule, "icmp_type").empty()) {
        protocol += " type " + field(rule, "icmp_type");
        if (!field(rule, "icmp_code").empty()) protocol += " code " + field(rule, "icmp_code");
      }
      const bool vpc = field(rule, "network") == "myNetwork";
      rows.push_back({protocol, field(rule, "port_range"), field(rule, "network"),
                      vpc ? field(rule, "vpc_id") : field(rule, "network_cidr"),
                      field(rule, "network") == "manual" ? field(rule, "network_size") : "--"});
    }
    print(fmt::format("{} rules", direction));
    print_table({"  Protocol", "Port Range", "Network Type", "First IP", "Size"}, [&] {
      for (auto& row : rows) row[0] = "  " + row[0];
      return rows;
    }());
  }
}

Outcome<int> get(Call& call) {
  const auto group = group_meant(call);
  if (!group) return tl::unexpected(group.error());
  if (call.json) {
    print_json({{"action", "get"}, {"security_group", *group}});
    return kExitOk;
  }
  print(printable(fmt::format("{} (id {}){}", field(*group, "name"), field(*group, "id"),
                              group->value("is_default", false) ? ", the account's default" : "")));
  if (!field(*group, "description").empty()) print(printable(field(*group, "description")));
  print_rules(*group);
  return kExitOk;
}

// The rules file: a list, or an object with `rules` and perhaps name and description.
struct RulesFile {
  std::string path;
  std::string text;
  Json body;
  bool is_list = false;
};

Outcome<RulesFile> read_rules_file(const Call& call) {
  RulesFile file;
  file.path = call.text("rules-file");
  if (file.path.empty())
    return fail(kExitUsage, "--rules-file is missing", "name a file, or - for standard input");
  auto text = read_text(file.path);
  if (!text) return tl::unexpected(text.error());
  file.text = std::move(*text);
  auto json = rules::parse_json(file.text);
  if (!json) {
    const rules::Error& error = json.error();
    Failure failure{
        kExitUsage, name_of_input(file.path) + ": " + error.message, {}, "", error.problems};
    return refused(call, file.path, file.text, std::move(failure));
  }
  file.is_list = json->is_array();
  file.body = file.is_list ? Json{{"rules", *json}} : *json;
  if (!file.body.is_object())
    return fail(kExitUsage, name_of_input(file.path) + ": a list of rules or a group is expected");
  if (call.has("description")) file.body["description"] = call.text("description");
  if (call.has("default")) file.body["default"] = true;
  return file;
}

// Problems of the rules are shown where the file has them. Any other (a name that is taken, an
// option) may have come from the command line: then all stay as they are, by field.
tl::unexpected<Failure> refused_rules(const Call& call, const RulesFile& file, Failure failure) {
  for (const auto& problem : failure.problems)
    if (!problem.where.starts_with("rules")) return tl::unexpected(std::move(failure));
  if (file.is_list && !call.json)
    for (auto& problem : failure.problems) problem.where.erase(0, 5);
  return refused(call, file.path, file.text, std::move(failure));
}

Outcome<int> answer(const Call& call, const char* action, const Outcome<Json>& envelope,
                    const Json& about) {
  if (!envelope) return tl::unexpected(envelope.error());
  const Json data = envelope->value("data", Json::object());
  if (call.json) {
    Json group = about;
    group.update(data);
    print_json({{"action", action}, {"security_group", group}});
    return kExitOk;
  }
  if (call.has("dry-run")) {
    print_dry_run(data);
    return kExitOk;
  }
  remark(call, fmt::format("{} Enforced by {}.", field(*envelope, "message"), enforced_by(data)));
  remark_on_change(call, data);
  return kExitOk;
}

Outcome<int> create(Call& call) {
  auto file = read_rules_file(call);
  if (!file) return tl::unexpected(file.error());
  if (call.has("name")) file->body["name"] = call.text("name");
  const auto envelope =
      request_whole(call, "POST", "/security_group/", with_change_options(call, file->body));
  if (!envelope) return refused_rules(call, *file, envelope.error());
  if (!call.json && !call.has("dry-run")) print(field((*envelope)["data"], "id"));
  return answer(call, "create", envelope, {{"name", field(file->body, "name")}});
}

Outcome<int> update(Call& call) {
  const auto group = group_meant(call);
  if (!group) return tl::unexpected(group.error());
  auto file = read_rules_file(call);
  if (!file) return tl::unexpected(file.error());
  Json body = std::move(file->body);
  body["name"] = call.has("new-name") ? call.text("new-name") : field(*group, "name");
  body = with_change_options(call, std::move(body));
  if (!body.contains("description")) body["description"] = field(*group, "description");
  const auto envelope =
      request_whole(call, "PUT", fmt::format("/security_group/{}/", field(*group, "id")), body);
  if (!envelope) return refused_rules(call, *file, envelope.error());
  return answer(call, "update", envelope, {{"name", field(body, "name")}});
}

Outcome<int> remove(Call& call) {
  const auto group = group_meant(call);
  if (!group) return tl::unexpected(group.error());
  const auto sure =
      call.has("dry-run")
          ? Outcome<int>(kExitOk)
          : confirm(call, fmt::format("Delete security group {}?", field(*group, "name")));
  if (!sure) return sure;
  return answer(
      call, "delete",
      request_whole(call, "DELETE",
                    fmt::format("/security_group/{}/{}", field(*group, "id"), change_query(call))),
      {{"id", (*group)["id"]}, {"name", field(*group, "name")}});
}

Outcome<int> mark_default(Call& call) {
  const auto group = group_meant(call);
  if (!group) return tl::unexpected(group.error());
  return answer(call, "mark-default",
                request_whole(call, "PUT",
                              fmt::format("/security_group/{}/mark-default/", field(*group, "id"))),
                {{"id", (*group)["id"]}, {"name", field(*group, "name")}});
}

// attach and detach: LB, then groups by position or --security-group-id.
Outcome<int> change_attachment(Call& call, const char* verb) {
  std::vector<std::string> names(call.words.begin() + 1, call.words.end());
  for (const std::string& id : call.texts("security-group-id")) names.push_back(id);
  if (names.empty())
    return fail(kExitUsage, "no security group is named", "name one or more groups");
  const auto lb = find_lb(call, call.words[0]);
  if (!lb) return tl::unexpected(lb.error());
  Json ids = Json::array();
  for (const std::string& name : names) {
    const auto group = find_group(call, name);
    if (!group) return tl::unexpected(group.error());
    ids.push_back((*group)["id"]);
  }
  if (std::string_view(verb) == "detach" && !call.has("dry-run")) {
    const auto sure = confirm(call, fmt::format("Detach {} from {}?", fmt::join(names, ", "),
                                                field(*lb, "appliance_name")));
    if (!sure) return sure;
  }
  const Json body = with_change_options(call, {{"security_group_ids", ids}});
  const auto envelope = request_whole(
      call, "POST", fmt::format("/security_group/{}/{}/", field(*lb, "id"), verb), body);
  if (!envelope) return tl::unexpected(envelope.error());
  const Json data = envelope->value("data", Json::object());
  if (call.json) {
    print_json({{"action", verb}, {"load_balancer", data}});
    return kExitOk;
  }
  if (call.has("dry-run")) {
    print_dry_run(data);
    return kExitOk;
  }
  remark(call, fmt::format("{}, enforced by {}. Live connections: {}.", field(*envelope, "message"),
                           enforced_by(data), fates_of(data)));
  remark_on_change(call, data);
  return kExitOk;
}

Outcome<int> attach(Call& call) {
  return change_attachment(call, "attach");
}
Outcome<int> detach(Call& call) {
  return change_attachment(call, "detach");
}

Outcome<int> rules_of_lb(Call& call) {
  const auto lb = find_lb(call, call.words[0]);
  if (!lb) return tl::unexpected(lb.error());
  const auto groups =
      request(call, "GET", fmt::format("/security_group/{}/attach/", field(*lb, "id")));
  if (!groups) return tl::unexpected(groups.error());
  if (call.json) {
    print_json({{"action", "rules"}, {"items", *groups}});
    return kExitOk;
  }
  bool first = true;
  for (const Json& group : *groups) {
    if (!first) print("");
    first = false;
    print(printable(fmt::format("{} (id {}){}{}", field(group, "name"), field(group, "id"),
                                group.value("is_lb_default", false) ? "  [default]" : "",
                                group.value("is_all_traffic_rule", false) ? "  [ALLOW ALL]" : "")));
    print_rules(group);
  }
  return kExitOk;
}

}  // namespace

std::vector<Verb> group_verbs() {
  return {
      {"security-group list", "", "the security groups of the node", "security-group list --json",
       0, 0, no_options, list},
      {"security-group get", "[GROUP]", "one group and its rules",
       "security-group get --name office", 0, 1, which_option, get},
      {"security-group create", "", "creates a group from a file of rules; prints its id",
       "security-group create --name office --rules-file office.json", 0, 0, create_options,
       create},
      {"security-group update", "[GROUP]", "replaces a group's rules",
       "security-group update --name office --rules-file office.json", 0, 1, update_options,
       update},
      {"security-group delete", "[GROUP]", "deletes a group that is attached nowhere",
       "security-group delete --name office --force", 0, 1, delete_options, remove},
      {"security-group mark-default", "[GROUP]",
       "makes it the default group of load balancers created from now on",
       "security-group mark-default --name office", 0, 1, which_option, mark_default},
      {"attach", "LB GROUP…", "attaches groups to a load balancer, all or none",
       "attach web office admin", 1, 64, attach_options, attach},
      {"detach", "LB GROUP…", "detaches groups from a load balancer, all or none",
       "detach web office --force", 1, 64, detach_options, detach},
      {"rules", "LB", "the attached groups and their rules, inbound and outbound", "rules web", 1,
       1, no_options, rules_of_lb},
  };
}

}  // namespace sluice::control::cli
