// SPDX-License-Identifier: Apache-2.0
//
// The use cases, refusal by refusal. They are pure: a refusal cannot change the state it was given.
#include "control/service.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "rules/builtin_groups.h"

namespace sluice::control {
namespace {

using rules::ErrorCode;
using rules::Json;
using rules::Result;

const std::vector<std::string> kZones{"edge", "second"};

Json rules_of(const char* ports) {
  return Json::array({{{"rule_type", "Inbound"},
                       {"protocol_name", "TCP"},
                       {"port_range", ports},
                       {"network", "any"}},
                      {{"rule_type", "Outbound"}, {"protocol_name", "All"}, {"network", "any"}}});
}
Json group_body(const char* name, const char* ports = "80") {
  return {{"name", name}, {"description", ""}, {"rules", rules_of(ports)}};
}
Json lb_body(const char* name, const char* address) {
  return {{"lb_name", name}, {"addresses", {address}}, {"status", "Running"}};
}

// Built-ins, groups 3 "a" and 4 "b", LB 1 "web" (Running).
State sample() {
  State state = first_state();
  state = create_group(state, group_body("a"))->next;
  state = create_group(state, group_body("b", "22"))->next;
  return register_lb(state, lb_body("web", "10.0.0.1"), kZones)->next;
}

void expect_refused(const Result<Outcome>& outcome, ErrorCode code, const char* part) {
  ASSERT_FALSE(outcome) << part;
  EXPECT_EQ(outcome.error().code, code) << outcome.error().message;
  std::string all = outcome.error().message;
  for (const auto& problem : outcome.error().problems)
    all += "\n" + problem.where + ": " + problem.message;
  EXPECT_NE(all.find(part), std::string::npos) << all;
}

TEST(Service, BeginsWithTheBuiltInGroups) {
  const State state = first_state();
  EXPECT_EQ(state.node.groups.at(1)->name, "default");
  EXPECT_EQ(state.node.account_default_group, 1u);
  EXPECT_TRUE(state.node.groups.at(2)->is_all_traffic_rule);
}

TEST(Service, EditsBuiltInGroupsLikeEveryOther) {
  const State state = first_state();
  const auto edited = update_group(state, 1, group_body("default", "8080"));
  ASSERT_TRUE(edited);
  EXPECT_EQ(edited->next.node.groups.at(1)->rules.size(), 2u);
  EXPECT_EQ(edited->next.node.account_default_group, 1u);
  const auto renamed = update_group(state, 2, group_body("Open"));
  EXPECT_TRUE(renamed->next.node.groups.at(2)->is_all_traffic_rule);
  EXPECT_FALSE(create_group(state, group_body("all"))->next.node.groups.at(3)->is_all_traffic_rule);
}

TEST(Service, GivesIdsThatAreNeverUsedAgain) {
  State state = sample();
  state = delete_group(state, 4)->next;
  const auto created = create_group(state, group_body("c"));
  EXPECT_EQ(created->answer["id"], 5);
  state = delete_lb(created->next, 1)->next;
  EXPECT_EQ(register_lb(state, lb_body("web", "10.0.0.1"), kZones)->answer["id"], 2);
}

TEST(Service, RefusesANameThatIsTaken) {
  expect_refused(create_group(sample(), group_body("a")), ErrorCode::conflict, "name of group 3");
  expect_refused(update_group(sample(), 4, group_body("a")), ErrorCode::conflict,
                 "name of group 3");
  EXPECT_TRUE(update_group(sample(), 3, group_body("a", "81")));
}

// What is wrong in the body and a name that is taken are told at once.
TEST(Service, NamesEveryProblemOfAGroup) {
  Json body = group_body("a", "9-8");
  body["default"] = "maybe";
  for (const auto& outcome : {create_group(sample(), body), update_group(sample(), 4, body)}) {
    expect_refused(outcome, ErrorCode::invalid, "rules[0].port_range: \"9-8\": first port");
    expect_refused(outcome, ErrorCode::invalid, "name: \"a\" is the name of group 3");
  }
  expect_refused(create_group(sample(), body), ErrorCode::invalid, "default: must be true");
  body = group_body("  a  ");
  expect_refused(create_group(sample(), body), ErrorCode::conflict, "name of group 3");
}

TEST(Service, KeepsRuleIdsOverUpdates) {
  const State state = sample();
  const auto id = state.node.groups.at(3)->rules[1].id;
  Json body = group_body("a");
  std::reverse(body["rules"].begin(), body["rules"].end());
  EXPECT_EQ(update_group(state, 3, body)->next.node.groups.at(3)->rules[0].id, id);
}

TEST(Service, RefusesToDeleteWhatIsInUseAndNamesTheUsers) {
  State state = attach(sample(), 1, {{"security_group_ids", {3}}})->next;
  expect_refused(delete_group(state, 3), ErrorCode::conflict, "load balancer 1 (web)");
  expect_refused(delete_group(state, 1), ErrorCode::conflict, "default group");
  expect_refused(delete_group(state, 99), ErrorCode::not_found, "99");
  EXPECT_TRUE(delete_group(state, 4));
}

TEST(Service, AttachesTheAccountsDefaultAtCreationAndKeepsIt) {
  State state = mark_default(sample(), 3)->next;
  EXPECT_EQ(state.node.load_balancers.at(1)->default_group, 1u);
  state = register_lb(state, lb_body("second", "10.0.0.2"), kZones)->next;
  EXPECT_EQ(state.node.load_balancers.at(2)->default_group, 3u);
  // Moving the account's default later changes neither.
  state = mark_default(state, 4)->next;
  EXPECT_EQ(state.node.load_balancers.at(2)->default_group, 3u);
  expect_refused(detach(state, 2, {{"security_group_ids", {3}}}), ErrorCode::conflict,
                 "default group");
}

TEST(Service, TakesADefaultGroupGivenAtRegistration) {
  Json body = lb_body("x", "10.0.0.9");
  body["security_group_id"] = 4;
  const auto outcome = register_lb(sample(), body, kZones);
  EXPECT_EQ(outcome->next.node.load_balancers.at(2)->default_group, 4u);
  body["security_group_id"] = 44;
  expect_refused(register_lb(sample(), body, kZones), ErrorCode::not_found, "44");
}

TEST(Service, ChangesAttachmentsInTwoStatusesOnly) {
  const std::pair<const char*, bool> kStatuses[] = {{"Creating", false},
                                                    {"Deploying", false},
                                                    {"Running", true},
                                                    {"Powered off", false},
                                                    {"Upgrading", false},
                                                    {"Error", false},
                                                    {"Backend Status Unavailable", false},
                                                    {"Backend Connection Failure", true},
                                                    {"Deleting", false}};
  for (const auto& [status, allowed] : kStatuses) {
    State state = attach(sample(), 1, {{"security_group_ids", {3}}})->next;
    state = set_status(state, 1, {{"status", status}})->next;
    EXPECT_EQ(attach(state, 1, {{"security_group_ids", {4}}}).has_value(), allowed) << status;
    EXPECT_EQ(detach(state, 1, {{"security_group_ids", {3}}}).has_value(), allowed) << status;
    EXPECT_EQ(find_lb_for_review(state, 1).has_value(), allowed) << status;
    if (!allowed)
      expect_refused(attach(state, 1, {{"security_group_ids", {4}}}), ErrorCode::conflict, status);
  }
}

TEST(Service, AttachesAllOrNothing) {
  const State state = sample();
  const auto both = attach(state, 1, {{"security_group_ids", {3, 4}}});
  EXPECT_EQ(both->next.node.load_balancers.at(1)->groups, (std::vector<rules::GroupId>{1, 3, 4}));
  expect_refused(attach(state, 1, {{"security_group_ids", {3, 1}}}), ErrorCode::conflict,
                 "already");
  expect_refused(attach(state, 1, {{"security_group_ids", {3, 77}}}), ErrorCode::not_found,
                 "security_group_ids[1]");
  expect_refused(attach(state, 1, {{"security_group_ids", {3, 3}}}), ErrorCode::invalid, "twice");
  expect_refused(attach(state, 1, {{"security_group_ids", Json::array()}}), ErrorCode::invalid,
                 "missing");
  expect_refused(attach(state, 1, Json::object()), ErrorCode::invalid, "missing");
  expect_refused(attach(state, 1, {{"security_group_ids", {"x"}}}), ErrorCode::invalid, "number");
  expect_refused(attach(state, 9, {{"security_group_ids", {3}}}), ErrorCode::not_found, "9");
}

TEST(Service, TakesOneNumberOrAList) {
  for (const Json& body : {Json{{"security_group_id", 3}}, Json{{"security_group_id", {3}}},
                           Json{{"security_group_id", "3"}}, Json{{"security_group_ids", {3}}}})
    EXPECT_TRUE(attach(sample(), 1, body)) << body.dump();
}

TEST(Service, DetachesAllOrNothing) {
  const State state = attach(sample(), 1, {{"security_group_ids", {3, 4}}})->next;
  EXPECT_EQ(
      detach(state, 1, {{"security_group_ids", {3, 4}}})->next.node.load_balancers.at(1)->groups,
      (std::vector<rules::GroupId>{1}));
  expect_refused(detach(state, 1, {{"security_group_ids", {3, 2}}}), ErrorCode::conflict,
                 "not attached");
  expect_refused(detach(state, 1, {{"security_group_ids", {3, 1}}}), ErrorCode::conflict,
                 "default group");
}

TEST(Service, TakesTheFateOfFlowsWithAttachDetachAndUpdate) {
  using dataplane::FlowFate;
  const State state = sample();
  const auto attached = [&](const char* flows) {
    return attach(state, 1, {{"security_group_ids", {3}}, {"flows", flows}});
  };
  EXPECT_EQ(attach(state, 1, {{"security_group_ids", {3}}})->flows.fate, FlowFate::cut);
  EXPECT_EQ(attached("keep")->flows.fate, FlowFate::keep);
  EXPECT_EQ(attached("drain:90")->flows.fate, FlowFate::drain);
  EXPECT_EQ(attached("drain:90")->flows.drain_s, 90u);
  for (const char* wrong : {"", "Cut", "drain", "drain:", "drain:0", "drain:-1", "drain:1 ",
                            "drain:604801", "drain:9x"})
    expect_refused(attached(wrong), ErrorCode::invalid, "flows");
  Json update = rules::group_to_json(*state.node.groups.at(3), false);
  update["flows"] = "keep";
  EXPECT_EQ(update_group(state, 3, update)->flows.fate, FlowFate::keep);
  update["flows"] = "stop";
  expect_refused(update_group(state, 3, update), ErrorCode::invalid, "flows");
}

TEST(Service, LetsNoTwoLoadBalancersClaimAnAddressInAZone) {
  Json body = lb_body("other", "10.0.0.1");
  expect_refused(register_lb(sample(), body, kZones), ErrorCode::conflict, "belongs to LB 1");
  body["zone"] = "second";
  EXPECT_TRUE(register_lb(sample(), body, kZones));
  body["zone"] = "third";
  expect_refused(register_lb(sample(), body, kZones), ErrorCode::invalid, "edge, second");
  expect_refused(register_lb(sample(), lb_body("web", "10.0.0.7"), kZones), ErrorCode::conflict,
                 "lb_name");
}

TEST(Service, NamesEveryProblemOfARegistration) {
  const auto outcome = register_lb(
      sample(), {{"lb_type", "sideways"}, {"status", "Walking"}, {"addresses", {"10.1"}}}, kZones);
  ASSERT_FALSE(outcome);
  EXPECT_GE(outcome.error().problems.size(), 4u) << outcome.error().message;
}

TEST(Service, ReplacesALoadBalancerAndKeepsItsAttachments) {
  const State state = attach(sample(), 1, {{"security_group_ids", {3}}})->next;
  Json body = lb_body("renamed", "10.0.0.5");
  body.erase("status");
  const auto outcome = replace_lb(state, 1, body, kZones);
  const auto& lb = *outcome->next.node.load_balancers.at(1);
  EXPECT_EQ(lb.groups, (std::vector<rules::GroupId>{1, 3}));
  EXPECT_EQ(lb.status, rules::LbStatus::running);
  EXPECT_EQ(lb.name, "renamed");
}

Json vpc_body(const char* name, const char* cidr) {
  return {{"vpc_name", name}, {"ipv4_cidr", cidr}};
}

// sample() with VPC 1 "prod" and group 5 "v", whose inbound rule names it.
State with_vpc_rule() {
  const State state = create_vpc(sample(), vpc_body("prod", "10.8.0.0/16"))->next;
  Json body = group_body("v");
  body["rules"][0]["network"] = "myNetwork";
  body["rules"][0]["vpc_id"] = "vpc_1";
  return create_group(state, body)->next;
}

TEST(Service, KeepsAVpcThatARuleNames) {
  const State state = with_vpc_rule();
  expect_refused(delete_vpc(state, 1), ErrorCode::conflict, "group 5 (v)");
  expect_refused(create_vpc(state, vpc_body("prod", "10.9.0.0/16")), ErrorCode::conflict,
                 "name of VPC 1");
  EXPECT_TRUE(delete_vpc(delete_group(state, 5)->next, 1));
}

TEST(Service, ReplacesAVpcAndLeavesTheRulesThatNameIt) {
  const State state = create_vpc(with_vpc_rule(), vpc_body("test", "10.7.0.0/16"))->next;
  const auto updated = update_vpc(state, 1, vpc_body("renamed", "10.9.0.0/16"));
  ASSERT_TRUE(updated) << updated.error().message;
  EXPECT_EQ(updated->next.node.vpcs.at(1)->name, "renamed");
  EXPECT_EQ(to_string(updated->next.node.vpcs.at(1)->prefixes.at(0)), "10.9.0.0/16");
  const auto &groups = state.node.groups, &after = updated->next.node.groups;
  EXPECT_TRUE(std::equal(after.begin(), after.end(), groups.begin(), groups.end()));
  EXPECT_TRUE(update_vpc(state, 1, vpc_body("prod", "10.9.0.0/16")));
  expect_refused(update_vpc(state, 1, vpc_body("test", "10.9.0.0/16")), ErrorCode::conflict,
                 "name of VPC 2");
  expect_refused(update_vpc(state, 1, vpc_body("prod", "10.9.0.1/16")), ErrorCode::invalid,
                 "ipv4_cidr");
  expect_refused(update_vpc(state, 7, vpc_body("x", "10.9.0.0/16")), ErrorCode::not_found, "7");
}

TEST(Service, RefusesAVpcNameThatReadsAsAnotherId) {
  for (const char* name : {"vpc_2", "7"})
    expect_refused(create_vpc(sample(), vpc_body(name, "10.8.0.0/16")), ErrorCode::invalid,
                   "reads as the id");
  const State state = with_vpc_rule();
  expect_refused(update_vpc(state, 1, vpc_body("vpc_2", "10.8.0.0/16")), ErrorCode::invalid,
                 "reads as the id");
  EXPECT_TRUE(update_vpc(state, 1, vpc_body("vpc_1", "10.8.0.0/16")));
}

}  // namespace
}  // namespace sluice::control
