// SPDX-License-Identifier: Apache-2.0
//
// The node document: VPCs, groups and load balancers that refer to each other by name.
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "rules/builtin_groups.h"
#include "rules/json.h"
#include "rules/printable.h"
#include "rules/validate.h"

namespace sluice::rules {
namespace {

void append(std::vector<Problem>& problems, const Error& error) {
  problems.insert(problems.end(), error.problems.begin(), error.problems.end());
}

class NodeReader {
 public:
  Result<NodeDocument> read(const Json& json) {
    if (!json.is_object()) return fail(refusal({{"", "a node document must be an object"}}));
    FieldReader fields(json, "", problems_);
    fields.refuse_others({"vpcs", "security_groups", "load_balancers", "settings"});
    for (Group& group : builtin_groups()) keep(std::move(group));
    document_.node.account_default_group = kDefaultGroupId;
    each(fields, "vpcs", [&](const Json& item, const std::string& at) { read_vpc(item, at); });
    check_vpc_names();
    each(fields, "security_groups",
         [&](const Json& item, const std::string& at) { read_group(item, at); });
    each(fields, "load_balancers",
         [&](const Json& item, const std::string& at) { read_load_balancer(item, at); });
    if (fields.has("settings")) {
      if (json["settings"].is_object()) {
        document_.settings = json["settings"];
      } else {
        fields.problem("settings", "must be an object");
      }
    }
    if (!problems_.empty()) return fail(refusal(std::move(problems_)));
    return std::move(document_);
  }

 private:
  template <class Visit>
  void each(FieldReader& fields, std::string_view name, Visit visit) {
    const Json* items = fields.array(name);
    for (std::size_t i = 0; items != nullptr && i < items->size(); ++i)
      visit((*items)[i], fmt::format("{}[{}]", name, i));
  }

  void keep(Group group) {
    for (const Rule& rule : group.rules) next_rule_ = std::max(next_rule_, rule.id + 1);
    document_.node.groups[group.id] = std::make_shared<const Group>(std::move(group));
  }

  // The name of what was refused stands for it, so that who refers to it is not refused as well.
  static std::string name_of(const Json& item, std::string_view field) {
    const auto found = item.is_object() ? item.find(std::string(field)) : item.end();
    if (found == item.end() || !found->is_string()) return {};
    return parse_name(found->get<std::string>()).value_or("");
  }

  void read_vpc(const Json& item, const std::string& at) {
    auto& vpcs = document_.node.vpcs;
    auto vpc = vpc_from_json(item, at + ".");
    if (!vpc) {
      append(problems_, vpc.error());
      vpc = Vpc{0, name_of(item, "vpc_name"), {}};
    }
    vpc->id = static_cast<VpcId>(vpcs.size() + 1);
    const bool is_second =
        !vpc->name.empty() && std::any_of(vpcs.begin(), vpcs.end(), [&](const auto& entry) {
          return entry.second->name == vpc->name;
        });
    if (is_second) problems_.push_back({at + ".vpc_name", quote(vpc->name) + " stands twice"});
    vpcs[vpc->id] = std::make_shared<const Vpc>(std::move(*vpc));
  }

  // Once all are there: the name of one may read as the id of a later one.
  void check_vpc_names() {
    const auto& vpcs = document_.node.vpcs;
    for (const auto& [id, vpc] : vpcs) {
      if (auto problem = vpc_name_reads_as_id(*vpc, static_cast<VpcId>(vpcs.size())))
        problems_.push_back(
            {fmt::format("vpcs[{}].{}", id - 1, problem->where), std::move(problem->message)});
    }
  }

  void read_group(const Json& item, const std::string& at) {
    auto group = group_from_json(item, document_.node, at + ".");
    if (!group) {
      append(problems_, group.error());
      group = Group{};
      group->name = name_of(item, "name");
    }
    if (!group->name.empty() && !names_.insert(group->name).second) {
      problems_.push_back({at + ".name", quote(group->name) + " stands twice"});
      return;
    }
    // A built-in group that the document defines is replaced, as an update would.
    const std::optional<GroupId> built_in = find_group(group->name);
    group->id = built_in.value_or(static_cast<GroupId>(document_.node.groups.size() + 1));
    for (Rule& rule : group->rules) rule.id = 0;
    keep_identities(nullptr, *group, next_rule_);
    keep(std::move(*group));
  }

  std::optional<GroupId> find_group(const std::string& name) const {
    for (const auto& [id, group] : document_.node.groups)
      if (group->name == name) return id;
    return std::nullopt;
  }

  void read_load_balancer(const Json& item, const std::string& at) {
    if (!item.is_object()) return problems_.push_back({at, "must be an object"});
    FieldReader fields(item, at + ".", problems_);
    fields.refuse_others(
        {"name", "status", "zone", "addresses", "security_groups", "default_group"});
    LoadBalancer lb;
    lb.id = static_cast<LbId>(document_.node.load_balancers.size() + 1);
    lb.name = fields.text("name").value_or("");
    if (lb.name.empty()) fields.problem("name", "missing");
    if (!lb_names_.insert(lb.name).second) fields.problem("name", "stands twice");
    lb.zone = fields.text("zone").value_or("");
    lb.status = LbStatus::running;
    if (const auto status = fields.text("status"))
      if (const auto parsed = fields.take("status", parse_status(*status))) lb.status = *parsed;
    read_addresses(fields, lb);
    read_attachments(fields, lb);
    document_.node.load_balancers[lb.id] = std::make_shared<const LoadBalancer>(std::move(lb));
  }

  void read_addresses(FieldReader& fields, LoadBalancer& lb) {
    const Json* items = fields.array("addresses");
    if (items == nullptr || items->empty()) {
      return fields.problem("addresses", "at least one address is needed");
    }
    for (std::size_t i = 0; i < items->size(); ++i) {
      const Json& item = (*items)[i];
      const std::string place = fmt::format("addresses[{}]", i);
      const Json& text = item.is_object() && item.contains("address") ? item["address"] : item;
      if (!text.is_string()) {
        fields.problem(place, "must be an address");
        continue;
      }
      const auto address = fields.take(place, parse_address(text.get<std::string>()));
      if (!address) continue;
      if (!claimed_.insert({lb.zone, *address}).second) {
        fields.problem(place,
                       fmt::format("{} has an owner in this zone already", to_string(*address)));
      }
      lb.addresses.push_back({*address, AddressKind::private_ip});
    }
  }

  void read_attachments(FieldReader& fields, LoadBalancer& lb) {
    const Json* items = fields.array("security_groups");
    for (std::size_t i = 0; items != nullptr && i < items->size(); ++i) {
      const std::string place = fmt::format("security_groups[{}]", i);
      const Json& item = (*items)[i];
      const auto id = item.is_string() ? find_group(item.get<std::string>()) : std::nullopt;
      if (!id) {
        fields.problem(place, fmt::format("there is no security group {}", item.dump()));
      } else if (std::find(lb.groups.begin(), lb.groups.end(), *id) != lb.groups.end()) {
        fields.problem(place, "attached twice");
      } else {
        lb.groups.push_back(*id);
      }
    }
    if (!fields.has("security_groups")) lb.groups = {kDefaultGroupId};
    if (!lb.groups.empty()) lb.default_group = lb.groups.front();
    if (const auto name = fields.text("default_group")) {
      const auto id = find_group(*name);
      if (!id || std::find(lb.groups.begin(), lb.groups.end(), *id) == lb.groups.end()) {
        fields.problem("default_group", "must be one of the LB's security_groups");
      } else {
        lb.default_group = *id;
      }
    }
  }

  NodeDocument document_;
  std::vector<Problem> problems_;
  std::set<std::string> names_;
  std::set<std::string> lb_names_;
  std::set<std::pair<std::string, Address>> claimed_;
  RuleId next_rule_ = 1;
};

}  // namespace

Result<NodeDocument> node_from_json(const Json& json) {
  return NodeReader().read(json);
}

}  // namespace sluice::rules
