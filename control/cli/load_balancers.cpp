// SPDX-License-Identifier: Apache-2.0
//
// Verbs on load balancers.
#include <fmt/format.h>

#include "control/cli/cli.h"

namespace sluice::control::cli {
namespace {

void no_options(po::options_description&) {}

void remove_options(po::options_description& options) {
  options.add_options()("force", "do not ask");
  change_options(options);
}

void add_options(po::options_description& options) {
  change_options(options);
  options.add_options()("name", po::value<std::string>()->value_name("NAME"), "the LB's name")(
      "address", po::value<std::vector<std::string>>()->composing()->value_name("IP"),
      "an address of the LB, IPv4 or IPv6; repeatable")(
      "zone", po::value<std::string>()->value_name("ZONE"),
      "the zone it stands in (default: the first)")(
      "type", po::value<std::string>()->value_name("T"), "external or internal")(
      "port", po::value<std::string>()->value_name("PORT"), "the listening port, as a remark")(
      "status", po::value<std::string>()->value_name("STATUS"),
      "Running, Creating, …; groups can be attached while Running (default: Creating)")(
      "security-group-id", po::value<std::vector<std::string>>()->composing()->value_name("ID"),
      "its default group, by id or name (default: the account's); more are attached beside it");
}

std::string joined(const Json& items) {
  std::string text;
  for (const Json& item : items)
    text += (text.empty() ? "" : ", ") +
            (item.is_string() ? item.get<std::string>() : field(item, "name"));
  return text;
}

Outcome<int> list(Call& call) {
  const auto lbs = list_all_lbs(call);
  if (!lbs) return tl::unexpected(lbs.error());
  if (call.json) {
    print_json({{"action", "list"}, {"items", *lbs}});
    return kExitOk;
  }
  std::vector<std::vector<std::string>> rows;
  for (const Json& lb : *lbs)
    rows.push_back({field(lb, "id"), field(lb, "appliance_name"), field(lb, "status"),
                    field(lb, "zone"), joined(lb.value("addresses", Json::array())),
                    joined(lb.value("security_groups", Json::array()))});
  print_table({"ID", "NAME", "STATUS", "ZONE", "ADDRESSES", "SECURITY GROUPS"}, rows);
  return kExitOk;
}

Outcome<int> show(Call& call) {
  const auto lb = find_lb(call, call.words[0]);
  if (!lb) return tl::unexpected(lb.error());
  if (call.json) {
    print_json({{"action", "show"}, {"load_balancer", *lb}});
    return kExitOk;
  }
  std::vector<std::vector<std::string>> rows{
      {"id", field(*lb, "id")},
      {"name", field(*lb, "appliance_name")},
      {"status", field(*lb, "status")},
      {"zone", field(*lb, "zone")},
      {"type", field(*lb, "lb_type")},
      {"addresses", joined(lb->value("addresses", Json::array()))}};
  for (const Json& group : lb->value("security_groups", Json::array()))
    rows.push_back(
        {"security group",
         field(group, "name") + (group.value("is_lb_default", false) ? "  [default]" : "")});
  print_table({"LOAD BALANCER", ""}, rows);
  return kExitOk;
}

Outcome<int> answer(const Call& call, const char* action, const Outcome<Json>& envelope) {
  if (!envelope) return tl::unexpected(envelope.error());
  const Json data = envelope->value("data", Json::object());
  if (call.json) {
    print_json({{"action", action}, {"load_balancer", data}});
  } else if (call.has("dry-run")) {
    print_dry_run(data);
  } else {
    remark(call, fmt::format("{} Enforced by {}.", field(*envelope, "message"), enforced_by(data)));
    remark_on_change(call, data);
  }
  return kExitOk;
}

Outcome<int> add(Call& call) {
  if (!call.has("name") || !call.has("address")) {
    return fail(kExitUsage, "an LB needs a name and at least one address",
                "sluicectl lb add --name web --address 203.0.113.10");
  }
  Json body{{"lb_name", call.text("name")}, {"addresses", call.texts("address")}};
  if (call.has("zone")) body["zone"] = call.text("zone");
  if (call.has("type")) body["lb_type"] = call.text("type");
  if (call.has("port")) body["lb_port"] = call.text("port");
  if (call.has("status")) body["status"] = call.text("status");
  for (const std::string& name : call.texts("security-group-id")) {
    const auto group = find_group(call, name);
    if (!group) return tl::unexpected(group.error());
    body["security_group_id"].push_back((*group)["id"]);
  }
  const auto envelope = request_whole(call, "POST", "/appliances/load-balancers/",
                                      with_change_options(call, std::move(body)));
  if (envelope && !call.json && !call.has("dry-run")) print(field((*envelope)["data"], "id"));
  return answer(call, "add", envelope);
}

Outcome<int> status(Call& call) {
  const auto lb = find_lb(call, call.words[0]);
  if (!lb) return tl::unexpected(lb.error());
  if (call.words.size() == 1) {
    if (call.json) {
      print_json({{"action", "status"},
                  {"load_balancer", {{"id", (*lb)["id"]}, {"status", (*lb)["status"]}}}});
    } else {
      print(printable(field(*lb, "status")));
    }
    return kExitOk;
  }
  // "lb status web Powered off" reads as it is spoken.
  std::string text;
  for (std::size_t i = 1; i < call.words.size(); ++i)
    text += (text.empty() ? "" : " ") + call.words[i];
  return answer(call, "status",
                request_whole(call, "PUT", fmt::format("/appliances/{}/status/", field(*lb, "id")),
                              {{"status", text}}));
}

Outcome<int> remove(Call& call) {
  const auto lb = find_lb(call, call.words[0]);
  if (!lb) return tl::unexpected(lb.error());
  if (!call.has("dry-run")) {
    const auto sure = confirm(call, fmt::format("Remove load balancer {}? Its traffic will drop.",
                                                field(*lb, "appliance_name")));
    if (!sure) return sure;
  }
  return answer(
      call, "remove",
      request_whole(call, "DELETE",
                    fmt::format("/appliances/{}/{}", field(*lb, "id"), change_query(call))));
}

}  // namespace

std::vector<Verb> lb_verbs() {
  return {
      {"lb list", "", "the load balancers of the node", "lb list", 0, 0, no_options, list},
      {"lb show", "LB", "one load balancer", "lb show web", 1, 1, no_options, show},
      {"lb add", "", "registers a load balancer; prints its id",
       "lb add --name web --address 203.0.113.10 --address 2001:db8::10 --status Running", 0, 0,
       add_options, add},
      {"lb status", "LB [STATUS]", "shows, or records, the status of a load balancer",
       "lb status web Running", 1, 4, no_options, status},
      {"lb remove", "LB", "removes a load balancer: its traffic drops from then on",
       "lb remove web --force", 1, 1, remove_options, remove},
  };
}

}  // namespace sluice::control::cli
