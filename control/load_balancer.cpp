// SPDX-License-Identifier: Apache-2.0
#include "control/load_balancer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "rules/printable.h"
#include "rules/validate.h"

namespace sluice::control {
namespace {

using rules::Address;
using rules::AddressKind;
using rules::ErrorCode;
using rules::fail;
using rules::FieldReader;
using rules::Json;
using rules::LoadBalancer;
using rules::Problem;
using rules::Result;

struct StatusMeaning {
  rules::LbStatus status;
  bool attachments_change;
};
using enum rules::LbStatus;
constexpr std::array<StatusMeaning, 9> kStatusTable{{
    {creating, false},
    {deploying, false},
    {running, true},
    {powered_off, false},
    {upgrading, false},
    {error, false},
    {backend_status_unavailable, false},
    {backend_connection_failure, true},
    {deleting, false},
}};

// Plan and account fields that the controller sends along and that mean nothing here.
constexpr std::array<std::string_view, 10> kHandledFields{
    "lb_name",       "status",  "zone",           "addresses",  "security_group_id",
    "default_group", "dry_run", "confirm_within", "expires_in", "flows"};

void add_address(FieldReader& fields, std::string_view field, const std::string& text,
                 AddressKind kind, LoadBalancer& lb) {
  const auto address = fields.take(field, rules::parse_address(text));
  if (!address) return;
  const bool known = std::any_of(lb.addresses.begin(), lb.addresses.end(),
                                 [&](const auto& have) { return have.address == *address; });
  if (!known) lb.addresses.push_back({*address, kind});
}

void read_addresses(const Json& json, FieldReader& fields, LoadBalancer& lb) {
  struct Source {
    std::string_view field;
    AddressKind kind;
  };
  const bool internal = json.is_object() && json.value("lb_type", Json()).is_string() &&
                        json["lb_type"].get<std::string>() == "internal";
  const AddressKind reserved = internal ? AddressKind::private_ip : AddressKind::public_ip;
  for (const Source& source :
       {Source{"lb_reserve_ip", reserved}, Source{"public_ip", AddressKind::public_ip},
        Source{"private_ip", AddressKind::private_ip}, Source{"host_target_ipv6", reserved}}) {
    const auto text = fields.text(source.field);
    if (text && !text->empty()) add_address(fields, source.field, *text, source.kind, lb);
  }
  const Json* items = fields.array("addresses");
  for (std::size_t i = 0; items != nullptr && i < items->size(); ++i) {
    const std::string place = fmt::format("addresses[{}]", i);
    if ((*items)[i].is_string()) {
      add_address(fields, place, (*items)[i].get<std::string>(), reserved, lb);
    } else {
      fields.problem(place, "must be an address as a text");
    }
  }
  if (lb.addresses.empty()) {
    fields.problem("addresses",
                   "an LB needs at least one address (addresses, lb_reserve_ip or "
                   "host_target_ipv6), or its traffic cannot be told from others'");
  }
}

// Two LBs may not claim one address in one zone. An empty zone is the first one.
std::vector<Problem> check_claims(const LoadBalancer& lb, const rules::Node& node,
                                  std::span<const std::string> zones) {
  std::vector<Problem> problems;
  const auto zone_of = [&](const LoadBalancer& any) {
    return any.zone.empty() && !zones.empty() ? zones[0] : any.zone;
  };
  for (const auto& [id, other] : node.load_balancers) {
    if (id == lb.id) continue;
    if (other->name == lb.name) {
      problems.push_back({"lb_name", fmt::format("\"{}\" is the name of LB {}", lb.name, id)});
    }
    if (zone_of(*other) != zone_of(lb)) continue;
    for (const auto& mine : lb.addresses)
      for (const auto& theirs : other->addresses)
        if (mine.address == theirs.address) {
          problems.push_back({"addresses", fmt::format("{} belongs to LB {} ({}) in this zone",
                                                       to_string(mine.address), id, other->name)});
        }
  }
  return problems;
}

void check_vpcs(FieldReader& fields, const rules::Node& node) {
  const Json* items = fields.array("vpc_list");
  for (std::size_t i = 0; items != nullptr && i < items->size(); ++i) {
    const Json& item = (*items)[i];
    const Json& id = item.is_object() && item.contains("network_id") ? item["network_id"] : item;
    const std::string text = id.is_string() ? id.get<std::string>() : id.dump();
    if (!rules::find_vpc(node, text))
      fields.problem(fmt::format("vpc_list[{}]", i),
                     fmt::format("there is no VPC {}", rules::quote(text)));
  }
}

std::string registration_of(const Json& json) {
  Json rest = Json::object();
  for (const auto& [name, value] : json.items()) {
    if (std::find(kHandledFields.begin(), kHandledFields.end(), name) == kHandledFields.end())
      rest[name] = value;
  }
  return rest.dump();
}

std::string first_address(const LoadBalancer& lb, AddressKind kind) {
  for (const auto& owned : lb.addresses)
    if (owned.kind == kind) return to_string(owned.address);
  return "";
}

}  // namespace

bool may_change_attachments(rules::LbStatus status) {
  return kStatusTable[static_cast<std::size_t>(status)].attachments_change;
}

bool is_attached(const LoadBalancer& lb, rules::GroupId group) {
  return std::find(lb.groups.begin(), lb.groups.end(), group) != lb.groups.end();
}

Result<LoadBalancer> lb_from_registration(const Json& json, const rules::Node& node,
                                          std::span<const std::string> zones,
                                          rules::LbId replaces) {
  std::vector<Problem> problems;
  if (!json.is_object()) return fail(rules::refusal({{"", "the body must be an object"}}));
  FieldReader fields(json, "", problems);
  LoadBalancer lb;
  lb.id = replaces;
  if (const auto name = fields.text("lb_name")) {
    if (auto parsed = fields.take("lb_name", rules::parse_name(*name))) lb.name = *parsed;
  } else if (!fields.has("lb_name")) {
    fields.problem("lb_name", "missing: 1-50 of letters, digits, _ and -");
  }
  if (const auto type = fields.text("lb_type"); type && *type != "external" && *type != "internal")
    fields.problem("lb_type",
                   fmt::format("{} is neither external nor internal", rules::quote(*type)));
  if (const auto status = fields.text("status"))
    if (auto parsed = fields.take("status", rules::parse_status(*status))) lb.status = *parsed;
  lb.zone = fields.text("zone").value_or(zones.empty() ? "" : zones[0]);
  if (std::find(zones.begin(), zones.end(), lb.zone) == zones.end()) {
    fields.problem("zone", fmt::format("{} is no zone of this node; there are {}",
                                       rules::quote(lb.zone), fmt::join(zones, ", ")));
  }
  (void)fields.number("lb_port", 65535);
  read_addresses(json, fields, lb);
  check_vpcs(fields, node);
  if (!problems.empty()) return fail(rules::refusal(std::move(problems)));
  if (auto claims = check_claims(lb, node, zones); !claims.empty())
    return fail(rules::refusal(std::move(claims), ErrorCode::conflict));
  lb.registration = registration_of(json);
  return lb;
}

Json stored_lb_to_json(const LoadBalancer& lb) {
  Json addresses = Json::array();
  for (const auto& owned : lb.addresses)
    addresses.push_back(
        {{"address", to_string(owned.address)}, {"kind", rules::to_string(owned.kind)}});
  return {{"name", lb.name},
          {"status", to_string(lb.status)},
          {"zone", lb.zone},
          {"addresses", std::move(addresses)},
          {"groups", lb.groups},
          {"default_group", lb.default_group},
          {"registration", lb.registration}};
}

Result<LoadBalancer> stored_lb_from_json(const Json& json) {
  try {
    LoadBalancer lb;
    lb.name = json.at("name").get<std::string>();
    lb.zone = json.at("zone").get<std::string>();
    lb.groups = json.at("groups").get<std::vector<rules::GroupId>>();
    lb.default_group = json.at("default_group").get<rules::GroupId>();
    lb.registration = json.at("registration").get<std::string>();
    const auto status = rules::parse_status(json.at("status").get<std::string>());
    if (!status) return tl::unexpected(status.error());
    lb.status = *status;
    for (const Json& item : json.at("addresses")) {
      const auto address = rules::parse_address(item.at("address").get<std::string>());
      if (!address) return tl::unexpected(address.error());
      const auto kind = rules::parse_address_kind(item.at("kind").get<std::string>());
      if (!kind) return tl::unexpected(kind.error());
      lb.addresses.push_back({*address, *kind});
    }
    return lb;
  } catch (const Json::exception& exception) {
    return fail(ErrorCode::storage, fmt::format("load balancer: {}", exception.what()));
  }
}

Json lb_to_json(const LoadBalancer& lb, const rules::Node& node) {
  const auto registration = rules::parse_json(lb.registration);
  Json context = registration ? *registration : Json::object();
  Json addresses = Json::array();
  for (const auto& owned : lb.addresses) addresses.push_back(to_string(owned.address));
  const auto field = [&](const char* name, Json otherwise) {
    return context.contains(name) ? context[name] : std::move(otherwise);
  };
  const Json lb_mode = field("lb_mode", ""), lb_type = field("lb_type", "external");
  context["lb_name"] = lb.name;
  context["security_group_id"] = lb.groups;
  for (const char* name : {"backends", "tcp_backend", "vpc_list"})
    if (!context.contains(name)) context[name] = Json::array();
  Json groups = Json::array();
  for (rules::GroupId id : lb.groups)
    if (const auto group = node.groups.find(id); group != node.groups.end())
      groups.push_back(
          {{"id", id}, {"name", group->second->name}, {"is_lb_default", id == lb.default_group}});
  const std::string public_ip = first_address(lb, AddressKind::public_ip);
  const std::string private_ip = first_address(lb, AddressKind::private_ip);
  return {{"id", lb.id},
          {"appliance_name", lb.name},
          {"name", lb.name},
          {"status", to_string(lb.status)},
          {"zone", lb.zone},
          {"lb_mode", lb_mode},
          {"lb_type", lb_type},
          {"public_ip", public_ip},
          {"private_ip", private_ip},
          {"addresses", std::move(addresses)},
          {"security_groups", std::move(groups)},
          {"node_detail", {{"public_ip", public_ip}, {"private_ip", private_ip}, {"vm_id", lb.id}}},
          {"appliance_instance", Json::array({{{"context", context}}})},
          {"context", Json::array({context})}};
}

Json lb_to_node_json(const LoadBalancer& lb) {
  return {{"id", lb.id},
          {"name", lb.name},
          {"status", to_string(lb.status)},
          {"vm_id", lb.id},
          {"public_ip_address", first_address(lb, AddressKind::public_ip)},
          {"private_ip_address", first_address(lb, AddressKind::private_ip)},
          {"security_group_count", lb.groups.size()}};
}

}  // namespace sluice::control
