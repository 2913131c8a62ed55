// SPDX-License-Identifier: Apache-2.0
#include "rules/node_json.h"

#include <gtest/gtest.h>

#include "tests/rules/rule_json.h"

namespace sluice::rules {
namespace {

std::vector<std::string> places_of(const char* text) {
  const auto node = node_from_json(*parse_json(text));
  std::vector<std::string> places;
  if (!node)
    for (const Problem& problem : node.error().problems) places.push_back(problem.where);
  return places;
}

TEST(NodeJson, RefusesClaimsNamesAndReferencesThatClash) {
  EXPECT_EQ(
      places_of(R"({
    "security_groups":[
      {"name":"a","rules":[{"rule_type":"Inbound","protocol_name":"All","network":"any"},
                           {"rule_type":"Outbound","protocol_name":"All","network":"any"}]},
      {"name":"a","rules":[{"rule_type":"Inbound","protocol_name":"All","network":"any"},
                           {"rule_type":"Outbound","protocol_name":"All","network":"any"}]}],
    "load_balancers":[
      {"name":"x","addresses":["10.0.0.1"],"security_groups":["a","nosuch"]},
      {"name":"x","addresses":["10.0.0.1"],"status":"Walking"}],
    "load_balancer":[]})"),
      (std::vector<std::string>{"load_balancer", "security_groups[1].name",
                                "load_balancers[0].security_groups[1]", "load_balancers[1].name",
                                "load_balancers[1].status", "load_balancers[1].addresses[0]"}));
}

// What is refused still stands for its name: who refers to it is not at fault.
TEST(NodeJson, DoesNotBlameWhoRefersToWhatIsRefused) {
  EXPECT_EQ(
      places_of(R"({
    "vpcs":[{"vpc_name":"prod","ipv4_cidr":"10.0.0.1/8"}],
    "security_groups":[{"name":"a","rules":[
      {"rule_type":"Inbound","protocol_name":"TCP","port_range":"9-8","network":"any"},
      {"rule_type":"Outbound","protocol_name":"All","network":"myNetwork","vpc_id":"prod"}]}],
    "load_balancers":[{"name":"x","addresses":["10.0.0.1"],"security_groups":["a"]}]})"),
      (std::vector<std::string>{"vpcs[0].ipv4_cidr", "security_groups[0].rules[0].port_range"}));
}

TEST(NodeJson, RefusesVpcNamesThatCouldMeanTwo) {
  EXPECT_EQ(places_of(R"({"vpcs":[{"vpc_name":"vpc_2","ipv4_cidr":"10.0.0.0/8"},
    {"vpc_name":"b","ipv4_cidr":"10.0.0.0/8"},{"vpc_name":"b","ipv4_cidr":"10.0.0.0/8"}]})"),
            (std::vector<std::string>{"vpcs[2].vpc_name", "vpcs[0].vpc_name"}));
  // A name that reads as its own id, or as that of none, means one VPC only.
  EXPECT_TRUE(places_of(R"({"vpcs":[{"vpc_name":"vpc_1","ipv4_cidr":"10.0.0.0/8"},
    {"vpc_name":"vpc_9","ipv4_cidr":"10.0.0.0/8"}]})")
                  .empty());
}

TEST(NodeJson, ReplacesABuiltInGroupThatItDefines) {
  const auto node = node_from_json(*parse_json(R"({"security_groups":[{"name":"default","rules":[
      {"rule_type":"Inbound","protocol_name":"UDP","port_range":53,"network":"any"},
      {"rule_type":"Outbound","protocol_name":"All","network":"any"}]}]})"));
  ASSERT_TRUE(node) << node.error().message;
  EXPECT_EQ(node->node.groups.size(), 2u);
  EXPECT_EQ(node->node.groups.at(1)->rules.size(), 2u);
}

TEST(NodeJson, NamesWhatIsOfAWrongType) {
  EXPECT_EQ(
      places_of(R"({"vpcs":[7],"security_groups":[7],"load_balancers":[7],"settings":7})"),
      (std::vector<std::string>{"vpcs[0]", "security_groups[0]", "load_balancers[0]", "settings"}));
  EXPECT_EQ(places_of(R"({"vpcs":7,"security_groups":{},"load_balancers":""})"),
            (std::vector<std::string>{"vpcs", "security_groups", "load_balancers"}));
}

}  // namespace
}  // namespace sluice::rules
