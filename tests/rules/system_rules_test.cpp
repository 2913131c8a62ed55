// SPDX-License-Identifier: Apache-2.0
#include "rules/system_rules.h"

#include <gtest/gtest.h>

namespace sluice::rules {
namespace {

Result<std::shared_ptr<const SystemRules>> read(const char* text,
                                                const SystemRules* previous = nullptr) {
  return system_rules_from_json(*parse_json(text), previous);
}

std::vector<std::string> problems_of(const char* text) {
  const auto rules = read(text);
  std::vector<std::string> problems;
  if (!rules)
    for (const Problem& problem : rules.error().problems)
      problems.push_back(problem.where + ": " + problem.message.substr(0, 20));
  return problems;
}

TEST(SystemRules, ReserveInboundPortsUnlessTheySayOtherwise) {
  const auto rules = read(R"([
    {"rule_type":"Inbound","protocol_name":"TCP","port_range":"8080","network":"10.5.0.0/16"},
    {"rule_type":"Inbound","protocol_name":"UDP","port_range":"3784","network":"any",
     "reserve":false},
    {"rule_type":"Inbound","protocol_name":"112","network":"any"},
    {"rule_type":"Outbound","protocol_name":"UDP","port_range":"514","network":"any"},
    {"rule_type":"Outbound","protocol_name":"TCP","port_range":"7","network":"any",
     "reserve":true}])");
  ASSERT_TRUE(rules) << rules.error().message;
  std::vector<bool> reserve;
  for (const Json& rule : system_rules_to_json(**rules)) reserve.push_back(rule["reserve"]);
  EXPECT_EQ(reserve, (std::vector<bool>{true, false, true, false, true}));
  EXPECT_EQ((*rules)->group.id, kSystemGroupId);
  EXPECT_GE((*rules)->group.rules[0].id, kSystemRuleIdMin);
}

TEST(SystemRules, MustSayWhetherAWholeProtocolIsTakenFromTheTenants) {
  EXPECT_EQ(problems_of(R"([
    {"rule_type":"Inbound","protocol_name":"All","network":"10.5.0.0/16"},
    {"rule_type":"Inbound","protocol_name":"TCP","network":"10.5.0.0/16"},
    {"rule_type":"Inbound","protocol_name":"All_UDP","network":"10.5.0.0/16"},
    {"rule_type":"Inbound","protocol_name":"ICMP","network":"10.5.0.0/16"},
    {"rule_type":"Inbound","protocol_name":"1","network":"10.5.0.0/16"},
    {"rule_type":"Outbound","protocol_name":"All","network":"10.5.0.0/16"},
    {"rule_type":"Inbound","protocol_name":"ICMP","icmp_type":8,"network":"10.5.0.0/16"},
    {"rule_type":"Inbound","protocol_name":"All","network":"any","reserve":false}])"),
            (std::vector<std::string>{
                "[0].reserve: missing: true takes ", "[1].reserve: missing: true takes ",
                "[2].reserve: missing: true takes ", "[3].reserve: missing: true takes ",
                "[4].reserve: missing: true takes "}));
}

TEST(SystemRules, AreRefusedWithEveryProblem) {
  EXPECT_EQ(problems_of(R"({"system_rules":[
    {"rule_type":"Inbound","protocol_name":"TCP","port_range":"9-8","network":"any"},
    {"rule_type":"Inbound","protocol_name":"TCP","port_range":"9","network":"myNetwork",
     "vpc_id":"prod","reserve":7},
    7]})"),
            (std::vector<std::string>{"system_rules[0].port_range: \"9-8\": first port is",
                                      "system_rules[1].vpc_id: there is no VPC \"pro",
                                      "system_rules[1].reserve: must be true or fals",
                                      "system_rules[2]: must be an object, n"}));
  EXPECT_EQ(problems_of("{}"), (std::vector<std::string>{"system_rules: must be a list of ru"}));
  EXPECT_EQ(problems_of("7"), (std::vector<std::string>{"system_rules: must be a list of ru"}));
  EXPECT_EQ(problems_of(R"({"system_rules":[],"rules":[]})"),
            (std::vector<std::string>{"rules: unknown field; known"}));
}

TEST(SystemRules, KeepTheirIdsWhenReadAgain) {
  const char* first = R"([
    {"rule_type":"Inbound","protocol_name":"TCP","port_range":"1","network":"any"},
    {"rule_type":"Inbound","protocol_name":"TCP","port_range":"2","network":"any"}])";
  const auto before = read(first);
  const auto after = read(R"([
    {"rule_type":"Inbound","protocol_name":"TCP","port_range":"3","network":"any"},
    {"rule_type":"Inbound","protocol_name":"TCP","port_range":"2","network":"any"}])",
                          before->get());
  EXPECT_EQ((*after)->group.rules[1].id, (*before)->group.rules[1].id);
  EXPECT_EQ((*after)->group.rules[0].id, kSystemRuleIdMin + 2);
  EXPECT_EQ(**read(first, before->get()), **before);
}

}  // namespace
}  // namespace sluice::rules
