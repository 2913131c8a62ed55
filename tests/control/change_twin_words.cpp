// SPDX-License-Identifier: Apache-2.0
//
// The twin's words for a state, as text and as a document.
#include <fmt/format.h>

#include <cstdio>

#include "control/undo.h"
#include "rules/validate.h"
#include "tests/control/change_twin.h"

namespace sluice::tests {
namespace {

AskedRule observed_rule(const rules::Rule& rule) {
  AskedRule asked{rule.direction == rules::Direction::inbound, 'a'};
  if (rule.protocol.kind == rules::ProtocolKind::icmp) asked.kind = 'i';
  if (rule.protocol.kind == rules::ProtocolKind::custom_tcp) {
    asked.kind = 't';
    asked.port = rule.ports.ranges.at(0).first;
  }
  if (rule.network.type == rules::NetworkType::my_network) asked.vpc = rule.network.vpc;
  if (rule.network.type == rules::NetworkType::manual)
    (void)std::sscanf(to_string(rule.network.range.first).c_str(), "172.16.%u.", &asked.manual);
  return asked;
}

TwinLb observed_lb(const rules::LoadBalancer& lb) {
  TwinLb twin{lb.name,         lb.zone, std::string(to_string(lb.status)),
              lb.registration, {},      {lb.groups.begin(), lb.groups.end()},
              lb.default_group};
  for (const auto& owned : lb.addresses) {
    unsigned address = 0;
    (void)std::sscanf(to_string(owned.address).c_str(), "10.0.0.%u", &address);
    twin.addresses.emplace_back(address, owned.kind == rules::AddressKind::public_ip);
  }
  return twin;
}

}  // namespace

ChangeTwin ChangeTwin::first() {
  const AskedRule out{false, 'a'};
  ChangeTwin twin;
  twin.node.groups[1] = {"default",
                         {{1, {true, 't', 80}}, {2, {true, 't', 443}}, {3, {true, 'i'}}, {4, out}}};
  twin.node.groups[2] = {"Allow-All-Traffic", {{5, {true, 'a'}}, {6, out}}};
  return twin;
}

ChangeTwin ChangeTwin::observed(const control::State& state) {
  ChangeTwin twin;
  for (const auto& [id, vpc] : state.node.vpcs) {
    TwinVpc& seen = twin.node.vpcs[id] = {vpc->name};
    (void)std::sscanf(to_string(vpc->prefixes.at(0)).c_str(), "10.%u.", &seen.net);
  }
  for (const auto& [id, group] : state.node.groups) {
    TwinGroup& seen = twin.node.groups[id] = {group->name, {}};
    for (const rules::Rule& rule : group->rules)
      seen.rules.emplace_back(rule.id, observed_rule(rule));
  }
  for (const auto& [id, lb] : state.node.load_balancers) twin.node.lbs[id] = observed_lb(*lb);
  for (const auto& [attachment, at] : state.expiries)
    twin.node.expiries[{attachment.lb, attachment.group}] = at;
  for (const auto& [id, waiting] : state.pending) twin.pending[id].confirm_by = waiting->confirm_by;
  twin.node.account_default = state.node.account_default_group;
  twin.next_group = state.next_group;
  twin.next_rule = state.next_rule;
  twin.next_lb = state.next_lb;
  twin.next_vpc = state.next_vpc;
  twin.next_change = state.next_change;
  twin.generation = state.generation;
  return twin;
}

std::string ChangeTwin::text() const {
  std::string text =
      fmt::format("generation {}, next {} {} {} {} {}, default {}\n", generation, next_group,
                  next_rule, next_lb, next_vpc, next_change, node.account_default);
  for (const auto& [id, vpc] : node.vpcs)
    text += fmt::format("vpc {} {} 10.{}\n", id, vpc.name, vpc.net);
  for (const auto& [id, group] : node.groups) {
    text += fmt::format("group {} {}:", id, group.name);
    for (const auto& [rule_id, rule] : group.rules)
      text += fmt::format(" {}={}{}{}m{}v{}", rule_id, rule.is_inbound ? '<' : '>', rule.kind,
                          rule.port, rule.manual, rule.vpc);
    text += '\n';
  }
  for (const auto& [id, lb] : node.lbs) {
    text += fmt::format("lb {} {} {} {} {} default {}:", id, lb.name, lb.zone, lb.status,
                        lb.registration, lb.default_group);
    for (const auto& [address, is_public] : lb.addresses)
      text += fmt::format(" .{}{}", address, is_public ? "p" : "");
    for (unsigned group : lb.groups) text += fmt::format(" +{}", group);
    text += '\n';
  }
  for (const auto& [attachment, at] : node.expiries)
    text += fmt::format("ends {} {} {}\n", attachment.first, attachment.second, at);
  for (const auto& [id, waiting] : pending)
    text += fmt::format("waits {} {}\n", id, waiting.confirm_by);
  return text;
}

AskedDocument document_of(const ChangeTwin& twin) {
  AskedDocument document{{{}}, {{}}, {}, {{}}};
  for (const auto& [id, vpc] : twin.node.vpcs) document.vpcs->push_back({vpc.name, vpc.net});
  for (const auto& [id, group] : twin.node.groups) {
    // Built-in groups stay without being named; their description is not in these words.
    if (group.name == "default" || group.name == "Allow-All-Traffic") continue;
    AskedGroup asked{group.name, {}, false};
    for (const auto& [rule_id, rule] : group.rules) {
      asked.rules.push_back(rule);
      unsigned& vpc = asked.rules.back().vpc;
      if (vpc != 0) (void)std::sscanf(twin.node.vpcs.at(vpc).name.c_str(), "v%u", &vpc);
    }
    document.groups->push_back(std::move(asked));
  }
  document.default_group = twin.node.groups.at(twin.node.account_default).name;
  for (const auto& [id, lb] : twin.node.lbs) {
    AskedLb asked{lb.name, lb.zone, lb.status, {}, {}};
    for (const auto& [address, is_public] : lb.addresses) asked.addresses.push_back(address);
    for (unsigned group : lb.groups) asked.groups.push_back(twin.node.groups.at(group).name);
    document.lbs->push_back(std::move(asked));
  }
  return document;
}

}  // namespace sluice::tests
