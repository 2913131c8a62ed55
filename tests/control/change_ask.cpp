// SPDX-License-Identifier: Apache-2.0
#include "tests/control/change_ask.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "control/service_apply.h"
#include "tests/control/change_twin.h"

namespace sluice::tests {
namespace {

using control::State;
using oracle::below;
using oracle::chance;
using oracle::Random;
using rules::Json;

const std::vector<std::string> kZones{"edge", "second"};
constexpr const char* kStatuses[] = {"Running", "Running", "Backend Connection Failure",
                                     "Powered off", "Deleting"};

unsigned draw(Random& random, unsigned end) {
  return static_cast<unsigned>(below(random, end));
}

// Mostly the key of something that is there.
template <class Map>
unsigned some_id(Random& random, const Map& map, unsigned next) {
  if (map.empty() || chance(random, 12)) return 1 + draw(random, next + 2);
  auto it = map.begin();
  std::advance(it, static_cast<std::ptrdiff_t>(below(random, map.size())));
  return it->first;
}

std::vector<AskedRule> random_rules(Random& random, unsigned vpc) {
  std::set<AskedRule> rules{{false, chance(random, 30) ? 't' : 'a', 0, 0, 0}};
  for (unsigned i = 0, count = 1 + draw(random, 5); i < count; ++i) {
    AskedRule rule{chance(random, 80), 't', 1000 + draw(random, kPortsAsked), 0, 0};
    if (i == 0) rule.is_inbound = true;
    if (chance(random, 40)) rule.manual = 1 + draw(random, kManualsAsked);
    if (rule.manual == 0 && chance(random, 30)) rule.vpc = vpc;
    rules.insert(rule);
  }
  std::vector<AskedRule> list(rules.begin(), rules.end());
  std::shuffle(list.begin(), list.end(), random);
  return list;
}

std::vector<unsigned> random_addresses(Random& random) {
  std::set<unsigned> addresses;
  for (unsigned i = 0, count = 1 + draw(random, 2); i < count; ++i)
    addresses.insert(1 + draw(random, 14));
  return {addresses.begin(), addresses.end()};
}

AskedVpc random_vpc(Random& random) {
  return {fmt::format("v{}", 1 + draw(random, 5)), 10 + draw(random, kNetsAsked)};
}
AskedLb random_lb(Random& random) {
  return {fmt::format("lb{}", draw(random, 8)),
          chance(random, 80) ? "edge" : "second",
          kStatuses[draw(random, std::size(kStatuses))],
          random_addresses(random),
          {}};
}

// What is there, with a few things otherwise.
AskedDocument random_document(Random& random, const State& seen) {
  AskedDocument document = document_of(ChangeTwin::observed(seen));
  const auto drop_one = [&](auto& list) {
    if (!list.empty())
      list.erase(list.begin() + static_cast<std::ptrdiff_t>(below(random, list.size())));
  };
  if (chance(random, 30)) document.vpcs->push_back(random_vpc(random));
  if (chance(random, 20)) drop_one(*document.vpcs);
  if (chance(random, 40))
    document.groups->push_back(
        {fmt::format("g{}", draw(random, 12)), random_rules(random, 1 + draw(random, 5)), false});
  if (chance(random, 30)) drop_one(*document.groups);
  if (chance(random, 40) && !document.groups->empty())
    (*document.groups)[below(random, document.groups->size())].rules =
        random_rules(random, 1 + draw(random, 5));
  if (chance(random, 5)) document.groups->push_back({"Allow-All-Traffic", {}, true});
  if (chance(random, 40)) document.lbs->push_back(random_lb(random));
  if (chance(random, 30)) drop_one(*document.lbs);
  for (AskedLb& lb : *document.lbs) {
    if (chance(random, 10)) lb.status = kStatuses[draw(random, std::size(kStatuses))];
    if (chance(random, 10)) lb.groups.push_back(fmt::format("g{}", draw(random, 12)));
    if (chance(random, 10)) drop_one(lb.groups);
    if (chance(random, 5)) lb.addresses = random_addresses(random);
    if (lb.groups.empty()) lb.groups.emplace_back("default");
  }
  if (chance(random, 80)) document.default_group.reset();
  if (chance(random, 30)) document.vpcs.reset();
  if (chance(random, 30)) document.groups.reset();
  if (chance(random, 30)) document.lbs.reset();
  return document;
}

void draw_options(Random& random, const State& seen, Ask& ask) {
  if (ask.kind == AskKind::attach ? chance(random, 40) : chance(random, 2))
    ask.expires_in_s = 1 + draw(random, 200);
  if (chance(random, 15)) ask.confirm_within_s = 1 + draw(random, 90);
  ask.has_bad_option = ask.expires_in_s != 0 && ask.expires_in_s <= ask.confirm_within_s;
  ask.dry_run = chance(random, 8);
  if (chance(random, 25)) ask.flows.fate = dataplane::FlowFate::keep;
  if (chance(random, 10)) ask.flows = {dataplane::FlowFate::drain, 30};
  if (chance(random, 15)) ask.if_match = seen.generation - (chance(random, 30) ? 1 : 0);
}

}  // namespace

Ask random_ask(Random& random, const State& seen) {
  constexpr AskKind kWeighed[] = {
      AskKind::create_group, AskKind::create_group, AskKind::create_group, AskKind::update_group,
      AskKind::update_group, AskKind::update_group, AskKind::delete_group, AskKind::delete_group,
      AskKind::mark_default, AskKind::create_vpc,   AskKind::update_vpc,   AskKind::delete_vpc,
      AskKind::register_lb,  AskKind::register_lb,  AskKind::replace_lb,   AskKind::set_status,
      AskKind::set_status,   AskKind::delete_lb,    AskKind::attach,       AskKind::attach,
      AskKind::attach,       AskKind::attach,       AskKind::attach,       AskKind::attach,
      AskKind::detach,       AskKind::detach,       AskKind::detach,       AskKind::confirm,
      AskKind::confirm,      AskKind::roll_back,    AskKind::apply,        AskKind::apply};
  Ask ask;
  ask.kind = kWeighed[draw(random, std::size(kWeighed))];
  const auto& node = seen.node;
  const unsigned group = some_id(random, node.groups, seen.next_group);
  const unsigned vpc = some_id(random, node.vpcs, seen.next_vpc);
  ask.vpc = random_vpc(random);
  ask.lb = random_lb(random);
  ask.group = {fmt::format("g{}", draw(random, 12)), random_rules(random, vpc), false};
  ask.as_default = chance(random, 5);
  ask.is_malformed = chance(random, 4);
  switch (ask.kind) {
    case AskKind::update_group:
    case AskKind::delete_group:
    case AskKind::mark_default:
      ask.id = group;
      if (node.groups.contains(group) && chance(random, 75))
        ask.group.name = node.groups.at(group)->name;
      break;
    case AskKind::update_vpc:
    case AskKind::delete_vpc:
      ask.id = vpc;
      break;
    case AskKind::confirm:
    case AskKind::roll_back:
      ask.id = some_id(random, seen.pending, seen.next_change);
      break;
    case AskKind::apply:
      ask.document = random_document(random, seen);
      break;
    default:
      ask.id = some_id(random, node.load_balancers, seen.next_lb);
  }
  const bool names_groups = ask.kind == AskKind::attach || ask.kind == AskKind::detach ||
                            (ask.kind == AskKind::register_lb && chance(random, 30));
  for (unsigned i = 0, count = 1 + draw(random, 3); names_groups && i < count; ++i)
    ask.groups.push_back(some_id(random, node.groups, seen.next_group));
  if (ask.kind == AskKind::replace_lb && chance(random, 60)) ask.lb.status.clear();
  draw_options(random, seen, ask);
  return ask;
}

namespace {

Json rules_json(const std::vector<AskedRule>& rules, bool in_document) {
  Json list = Json::array();
  for (const AskedRule& rule : rules) {
    Json json{{"rule_type", rule.is_inbound ? "Inbound" : "Outbound"},
              {"protocol_name", rule.kind == 't'   ? "Custom_TCP"
                                : rule.kind == 'i' ? "ICMP"
                                                   : "All"},
              {"network", "any"}};
    if (rule.kind == 't') json["port_range"] = std::to_string(rule.port);
    if (rule.manual != 0) {
      json["network"] = "manual";
      json["network_cidr"] = fmt::format("172.16.{}.0", rule.manual);
      json["network_size"] = 256;
    }
    if (rule.vpc != 0) {
      json["network"] = "myNetwork";
      json["vpc_id"] = fmt::format("{}{}", in_document ? "v" : "vpc_", rule.vpc);
    }
    list.push_back(std::move(json));
  }
  return list;
}

Json addresses_json(const std::vector<unsigned>& addresses) {
  Json list = Json::array();
  for (unsigned address : addresses) list.push_back(fmt::format("10.0.0.{}", address));
  return list;
}

std::string cidr(const AskedVpc& vpc) {
  return fmt::format("10.{}.0.0/16", vpc.net);
}

Json document_json(const AskedDocument& document) {
  Json json = Json::object();
  if (document.vpcs) {
    json["vpcs"] = Json::array();
    for (const AskedVpc& vpc : *document.vpcs)
      json["vpcs"].push_back({{"vpc_name", vpc.name}, {"cidrs", {cidr(vpc)}}});
  }
  if (document.groups) {
    json["security_groups"] = Json::array();
    for (const AskedGroup& group : *document.groups)
      json["security_groups"].push_back(
          group.is_absent ? Json{{"name", group.name}, {"absent", true}}
                          : Json{{"name", group.name}, {"rules", rules_json(group.rules, true)}});
  }
  if (document.default_group) json["default_group"] = *document.default_group;
  if (document.lbs) {
    json["load_balancers"] = Json::array();
    for (const AskedLb& lb : *document.lbs)
      json["load_balancers"].push_back({{"name", lb.name},
                                        {"zone", lb.zone},
                                        {"status", lb.status},
                                        {"addresses", addresses_json(lb.addresses)},
                                        {"security_groups", lb.groups}});
  }
  return json;
}

Json lb_json(const Ask& ask) {
  Json json{{"lb_name", ask.lb.name},
            {"zone", ask.lb.zone},
            {"addresses", addresses_json(ask.lb.addresses)}};
  if (!ask.lb.status.empty()) json["status"] = ask.lb.status;
  if (!ask.groups.empty()) json["security_group_id"] = ask.groups;
  if (ask.is_malformed) json["addresses"].push_back("10.1");
  return json;
}

Json body_of(const Ask& ask) {
  switch (ask.kind) {
    case AskKind::create_group:
    case AskKind::update_group: {
      Json json{{"name", ask.group.name}, {"rules", rules_json(ask.group.rules, false)}};
      if (ask.kind == AskKind::create_group) json["default"] = ask.as_default;
      if (ask.is_malformed) json["rules"][0]["protocol_name"] = "Custom_XYZ";
      return json;
    }
    case AskKind::create_vpc:
    case AskKind::update_vpc:
      return {{"vpc_name", ask.vpc.name}, {"ipv4_cidr", ask.is_malformed ? "10.1" : cidr(ask.vpc)}};
    case AskKind::register_lb:
    case AskKind::replace_lb:
      return lb_json(ask);
    case AskKind::set_status:
      return {{"status", ask.is_malformed ? "Walking" : ask.lb.status}};
    case AskKind::attach:
    case AskKind::detach:
      if (ask.is_malformed) return {{"security_group_ids", "all"}};
      return {{"security_group_ids", ask.groups}};
    case AskKind::apply: {
      Json json = document_json(ask.document);
      if (ask.is_malformed) json["security_group"] = Json::array();
      return json;
    }
    default:
      return Json::object();
  }
}

void put_options(const Ask& ask, Json& body) {
  if (ask.expires_in_s != 0) body["expires_in"] = ask.expires_in_s;
  if (ask.confirm_within_s != 0) body["confirm_within"] = ask.confirm_within_s;
  if (ask.dry_run) body["dry_run"] = true;
  if (ask.flows.fate == dataplane::FlowFate::keep) body["flows"] = "keep";
  if (ask.flows.fate == dataplane::FlowFate::drain)
    body["flows"] = fmt::format("drain:{}", ask.flows.drain_s);
}

control::Change change_of(const Ask& ask, Json body) {
  using namespace control;
  return [kind = ask.kind, id = ask.id, body = std::move(body)](const State& state) {
    switch (kind) {
      case AskKind::create_group:
        return create_group(state, body);
      case AskKind::update_group:
        return update_group(state, id, body);
      case AskKind::delete_group:
        return delete_group(state, id);
      case AskKind::mark_default:
        return mark_default(state, id);
      case AskKind::create_vpc:
        return create_vpc(state, body);
      case AskKind::update_vpc:
        return update_vpc(state, id, body);
      case AskKind::delete_vpc:
        return delete_vpc(state, id);
      case AskKind::register_lb:
        return register_lb(state, body, kZones);
      case AskKind::replace_lb:
        return replace_lb(state, id, body, kZones);
      case AskKind::set_status:
        return set_status(state, id, body);
      case AskKind::delete_lb:
        return delete_lb(state, id);
      case AskKind::attach:
        return attach(state, id, body);
      case AskKind::detach:
        return detach(state, id, body);
      case AskKind::confirm:
        return confirm_change(state, id);
      case AskKind::roll_back:
        return roll_back_change(state, id);
      case AskKind::apply:
        break;
    }
    return apply_document(state, body, kZones);
  };
}

}  // namespace

control::ChangeRequest request_of(const Ask& ask, std::string path) {
  Json body = body_of(ask);
  put_options(ask, body);
  control::ChangeRequest request;
  request.options = control::read_change_options(body, request.problems);
  if (ask.if_match) request.if_match = fmt::format("\"{}\"", *ask.if_match);
  request.source = {"client", "request", "POST", std::move(path), body.dump()};
  request.change = change_of(ask, std::move(body));
  return request;
}

}  // namespace sluice::tests
