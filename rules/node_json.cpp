// SPDX-License-Identifier: Apache-2.0
#include "rules/node_json.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

#include "rules/builtin_groups.h"
#include "rules/printable.h"
#include "rules/system_rules.h"
#include "rules/validate.h"

namespace sluice::rules {
namespace {

using Names = std::unordered_map<std::string, std::uint32_t>;

// Of a map id -> pointer: who has which name.
template <class Map>
Names names_of(const Map& map) {
  Names names;
  for (const auto& [id, value] : map) names.emplace(value->name, id);
  return names;
}

std::optional<std::uint32_t> find_name(const Names& names, const std::string& name) {
  const auto found = names.find(name);
  if (found == names.end()) return std::nullopt;
  return found->second;
}

// The value that stood there, where it is equal: who compares versions then sees no change.
template <class Map, class Value>
void keep_or_put(Map& after, const Map& before, Value value) {
  const auto old = before.find(value.id);
  if (old != before.end() && *old->second == value) {
    after[value.id] = old->second;
  } else {
    const auto id = value.id;
    after[id] = std::make_shared<const Value>(std::move(value));
  }
}

class NodeReader {
 public:
  explicit NodeReader(const NodeBase& base)
      : base_(base),
        is_live_(!base.zones.empty()),
        vpcs_before_(names_of(base.node.vpcs)),
        groups_before_(names_of(base.node.groups)),
        lbs_before_(names_of(base.node.load_balancers)),
        group_ids_(groups_before_) {
    reading_.after = base;
  }

  NodeReading read(const Json& json) {
    if (!json.is_object()) {
      problems_.push_back({"", "a node document must be an object"});
      return finish();
    }
    FieldReader fields(json, "", problems_);
    fields.refuse_others(
        {"vpcs", "security_groups", "default_group", "load_balancers", "settings"});
    if (fields.has("vpcs")) read_vpcs(fields);
    if (fields.has("security_groups")) read_groups(fields);
    read_account_default(fields);
    if (fields.has("load_balancers")) read_load_balancers(fields);
    if (fields.has("settings")) {
      if (json["settings"].is_object()) {
        reading_.settings = json["settings"];
      } else {
        fields.problem("settings", "must be an object");
      }
    }
    return finish();
  }

 private:
  NodeReading finish() {
    reading_.problems = std::move(problems_);
    return std::move(reading_);
  }

  Node& node() { return reading_.after.node; }

  template <class Visit>
  void each(FieldReader& fields, std::string_view name, Visit visit) {
    const Json* items = fields.array(name);
    for (std::size_t i = 0; items != nullptr && i < items->size(); ++i)
      visit((*items)[i], fmt::format("{}[{}]", name, i), i);
  }

  void note(const Error& error) {
    problems_.insert(problems_.end(), error.problems.begin(), error.problems.end());
  }

  // The name of what was refused stands for it, so that who refers to it is not refused as well.
  static std::string name_of(const Json& item, std::string_view field) {
    const auto found = item.is_object() ? item.find(std::string(field)) : item.end();
    if (found == item.end() || !found->is_string()) return {};
    return parse_name(found->get<std::string>()).value_or("");
  }

  void read_vpcs(FieldReader& fields) {
    node().vpcs = {};
    std::map<VpcId, std::string> places;
    each(fields, "vpcs", [&](const Json& item, const std::string& at, std::size_t) {
      const VpcId id = read_vpc(item, at);
      if (id != 0) places[id] = at;
    });
    // Once all are there: the name of one may read as the id of a later one.
    const VpcId id_max = is_live_ ? UINT32_MAX : static_cast<VpcId>(node().vpcs.size());
    for (const auto& [id, at] : places)
      if (auto problem = vpc_name_reads_as_id(*node().vpcs.at(id), id_max))
        problems_.push_back({at + "." + problem->where, std::move(problem->message)});
  }

  VpcId read_vpc(const Json& item, const std::string& at) {
    auto vpc = vpc_from_json(item, at + ".");
    if (!vpc) {
      note(vpc.error());
      vpc = Vpc{0, name_of(item, "vpc_name"), {}};
    }
    if (!vpc->name.empty() && !vpc_names_.insert(vpc->name).second) {
      problems_.push_back({at + ".vpc_name", quote(vpc->name) + " stands twice"});
      return 0;
    }
    const auto old = find_name(vpcs_before_, vpc->name);
    vpc->id = old ? *old : reading_.after.next_vpc++;
    const VpcId id = vpc->id;
    keep_or_put(node().vpcs, base_.node.vpcs, std::move(*vpc));
    return id;
  }

  void read_groups(FieldReader& fields) {
    node().groups = {};
    for (const auto& [id, group] : base_.node.groups)
      if (is_builtin_group(group->name)) node().groups[id] = group;
    group_ids_ = names_of(node().groups);
    each(fields, "security_groups",
         [&](const Json& item, const std::string& at, std::size_t i) { read_group(item, at, i); });
  }

  void read_group(const Json& item, const std::string& at, std::size_t place) {
    FieldReader fields(item, at + ".", problems_);
    if (fields.has("absent")) return read_absent(fields, name_of(item, "name"));
    auto group = group_from_json(item, node(), at + ".");
    if (!group) {
      note(group.error());
      group = Group{};
      group->name = name_of(item, "name");
    }
    if (group->name == kSystemGroupName)
      fields.problem("name", "is that of the node's own rules; choose another");
    if (!is_first(fields, group->name)) return;
    const auto old = find_name(groups_before_, group->name);
    const Group* before = old ? base_.node.groups.at(*old).get() : nullptr;
    group->id = before != nullptr ? before->id : reading_.after.next_group++;
    const auto is_all = fields.boolean("is_all_traffic_rule");
    group->is_all_traffic_rule = is_all.value_or(before != nullptr && before->is_all_traffic_rule);
    keep_identities(before, *group, reading_.after.next_rule);
    group_ids_[group->name] = group->id;
    reading_.group_place[group->id] = place;
    keep_or_put(node().groups, base_.node.groups, std::move(*group));
  }

  bool is_first(FieldReader& fields, const std::string& name) {
    if (name.empty() || names_.insert(name).second) return true;
    fields.problem("name", quote(name) + " stands twice");
    return false;
  }

  void read_absent(FieldReader& fields, const std::string& name) {
    fields.refuse_others({"name", "absent"});
    if (fields.boolean("absent") == false)
      fields.problem("absent", "must be true; leave it out of a group that is there");
    if (name.empty()) return fields.problem("name", "missing: the group that must not be there");
    if (!is_first(fields, name)) return;
    if (const auto id = find_group(name)) node().groups.erase(*id);
    group_ids_.erase(name);
  }

  [[nodiscard]] std::optional<GroupId> find_group(const std::string& name) const {
    return find_name(group_ids_, name);
  }

  void read_account_default(FieldReader& fields) {
    const auto name = fields.text("default_group");
    if (!name) return;
    if (const auto id = find_group(*name)) {
      node().account_default_group = *id;
    } else {
      fields.problem("default_group", fmt::format("there is no security group {}", quote(*name)));
    }
  }

  void read_load_balancers(FieldReader& fields) {
    node().load_balancers = {};
    each(fields, "load_balancers", [&](const Json& item, const std::string& at, std::size_t i) {
      read_load_balancer(item, at, i);
    });
  }

  void read_load_balancer(const Json& item, const std::string& at, std::size_t place) {
    if (!item.is_object()) return problems_.push_back({at, "must be an object"});
    FieldReader fields(item, at + ".", problems_);
    fields.refuse_others({"name", "status", "zone", "addresses", "security_groups", "default_group",
                          "registration"});
    std::string name;
    if (const auto text = fields.text("name")) {
      if (const auto parsed = fields.take("name", parse_name(*text))) name = *parsed;
    } else if (!fields.has("name")) {
      fields.problem("name", "missing");
    }
    const bool is_second = !name.empty() && !lb_names_.insert(name).second;
    if (is_second) fields.problem("name", quote(name) + " stands twice");
    const auto old = find_name(lbs_before_, name);
    const LoadBalancer* before = old ? base_.node.load_balancers.at(*old).get() : nullptr;
    LoadBalancer lb;
    if (before != nullptr) {
      lb = *before;
    } else {
      lb.id = reading_.after.next_lb++;
      lb.name = std::move(name);
      lb.status = LbStatus::running;
      if (is_live_) lb.zone = base_.zones[0];
    }
    if (const auto status = fields.text("status"))
      if (const auto parsed = fields.take("status", parse_status(*status))) lb.status = *parsed;
    read_zone(fields, lb);
    read_registration(item, fields, lb);
    read_addresses(fields, lb, before);
    read_attachments(fields, lb, before);
    if (is_second) return;
    reading_.lb_place[lb.id] = place;
    keep_or_put(node().load_balancers, base_.node.load_balancers, std::move(lb));
  }

  void read_zone(FieldReader& fields, LoadBalancer& lb) {
    const auto zone = fields.text("zone");
    if (!zone || zone->empty()) return;
    lb.zone = *zone;
    const auto& zones = base_.zones;
    if (is_live_ && std::find(zones.begin(), zones.end(), *zone) == zones.end())
      fields.problem("zone", fmt::format("{} is no zone of this node; there are {}", quote(*zone),
                                         fmt::join(zones, ", ")));
  }

  static void read_registration(const Json& item, FieldReader& fields, LoadBalancer& lb) {
    if (!fields.has("registration")) return;
    const Json& registration = item["registration"];
    if (!registration.is_object()) return fields.problem("registration", "must be an object");
    lb.registration = registration.dump(-1, ' ', false, Json::error_handler_t::replace);
  }

  void claim(FieldReader& fields, const std::string& place, const LoadBalancer& lb,
             const Address& address) {
    const std::string& zone = lb.zone.empty() && is_live_ ? base_.zones[0] : lb.zone;
    if (!claimed_.insert({zone, address}).second)
      fields.problem(place,
                     fmt::format("{} has an owner in this zone already", to_string(address)));
  }

  void read_addresses(FieldReader& fields, LoadBalancer& lb, const LoadBalancer* before) {
    const Json* items = fields.array("addresses");
    if (items == nullptr && before != nullptr && !fields.has("addresses")) {
      for (const LbAddress& owned : lb.addresses) claim(fields, "addresses", lb, owned.address);
      return;
    }
    lb.addresses.clear();
    if (items == nullptr || items->empty())
      return fields.problem("addresses", "at least one address is needed");
    for (std::size_t i = 0; i < items->size(); ++i)
      read_address((*items)[i], fmt::format("addresses[{}]", i), fields, lb, before);
  }

  void read_address(const Json& item, const std::string& place, FieldReader& fields,
                    LoadBalancer& lb, const LoadBalancer* before) {
    const Json& text = item.is_object() && item.contains("address") ? item["address"] : item;
    if (!text.is_string()) return fields.problem(place, "must be an address");
    const auto address = fields.take(place, parse_address(text.get<std::string>()));
    if (!address) return;
    claim(fields, place, lb, *address);
    LbAddress owned{*address, AddressKind::private_ip};
    if (before != nullptr) {
      const auto known =
          std::find_if(before->addresses.begin(), before->addresses.end(),
                       [&](const LbAddress& have) { return have.address == *address; });
      if (known != before->addresses.end()) owned.kind = known->kind;
    }
    if (item.is_object() && item.contains("kind")) {
      const auto kind = FieldReader(item, fields.place(place) + ".", problems_).text("kind");
      if (kind)
        if (const auto parsed = fields.take(place + ".kind", parse_address_kind(*kind)))
          owned.kind = *parsed;
    }
    lb.addresses.push_back(owned);
  }

  // In the order they were attached; new ones in that of the document.
  void read_attachments(FieldReader& fields, LoadBalancer& lb, const LoadBalancer* before) {
    if (!fields.has("security_groups")) {
      if (before == nullptr && node().account_default_group != 0)
        lb.groups = {node().account_default_group};
    } else {
      lb.groups = read_group_list(fields);
    }
    if (is_live_ && lb.groups.empty() && before == nullptr)
      fields.problem("security_groups", "a load balancer has at least its default group");
    if (before == nullptr) {
      if (!lb.groups.empty()) lb.default_group = lb.groups.front();
    } else {
      std::vector<GroupId> order;
      for (GroupId id : before->groups)
        if (std::erase(lb.groups, id) != 0) order.push_back(id);
      order.insert(order.end(), lb.groups.begin(), lb.groups.end());
      lb.groups = std::move(order);
    }
    if (const auto name = fields.text("default_group")) {
      const auto id = find_group(*name);
      if (!id || std::find(lb.groups.begin(), lb.groups.end(), *id) == lb.groups.end()) {
        fields.problem("default_group", "must be one of the LB's security_groups");
      } else {
        lb.default_group = *id;
      }
    }
  }

  std::vector<GroupId> read_group_list(FieldReader& fields) {
    std::vector<GroupId> groups;
    const Json* items = fields.array("security_groups");
    for (std::size_t i = 0; items != nullptr && i < items->size(); ++i) {
      const std::string place = fmt::format("security_groups[{}]", i);
      const Json& item = (*items)[i];
      const auto id = item.is_string() ? find_group(item.get<std::string>()) : std::nullopt;
      if (!id) {
        fields.problem(place, fmt::format("there is no security group {}",
                                          printable(item.dump(-1, ' ', true), kQuotedMax)));
      } else if (std::find(groups.begin(), groups.end(), *id) != groups.end()) {
        fields.problem(place, "attached twice");
      } else {
        groups.push_back(*id);
      }
    }
    return groups;
  }

  const NodeBase& base_;
  const bool is_live_;
  const Names vpcs_before_, groups_before_, lbs_before_;
  Names group_ids_;  // of those that the document may name
  NodeReading reading_;
  std::vector<Problem> problems_;
  std::set<std::string> vpc_names_;
  std::set<std::string> names_;
  std::set<std::string> lb_names_;
  std::set<std::pair<std::string, Address>> claimed_;
};

}  // namespace

NodeBase empty_node() {
  NodeBase base;
  for (Group& group : builtin_groups()) {
    const GroupId id = group.id;
    base.node.groups[id] = std::make_shared<const Group>(std::move(group));
  }
  base.node.account_default_group = kDefaultGroupId;
  base.next_group = kAllowAllGroupId + 1;
  base.next_rule = kBuiltinRuleIdMax + 1;
  return base;
}

NodeReading read_node(const Json& json, const NodeBase& base) {
  return NodeReader(base).read(json);
}

Result<NodeDocument> node_from_json(const Json& json) {
  NodeReading reading = read_node(json, empty_node());
  if (!reading.problems.empty()) return fail(refusal(std::move(reading.problems)));
  return NodeDocument{std::move(reading.after.node), std::move(reading.settings)};
}

}  // namespace sluice::rules
