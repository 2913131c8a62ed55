// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <set>

#include "rules/builtin_groups.h"
#include "rules/json.h"
#include "rules/validate.h"
#include "tests/oracle/random_node.h"

namespace sluice::rules {
namespace {

Node node_with_vpc() {
  Node node;
  node.vpcs[5] = std::make_shared<const Vpc>(Vpc{5, "prod", {{Address::ipv4(0x0a080000), 16}}});
  return node;
}

// A group of one outbound rule and the inbound rule under test.
Result<Group> group_with(const std::string& inbound_fields) {
  const auto json = parse_json(R"({"name":"g","rules":[{"rule_type":"Outbound",
    "protocol_name":"All","network":"any"},{"rule_type":"Inbound",)" +
                               inbound_fields + "}]}");
  if (!json) return tl::unexpected(json.error());
  return group_from_json(*json, node_with_vpc());
}

TEST(JsonParse, RefusesWhatStrictnessForbidsAndSaysWhere) {
  const std::pair<const char*, const char*> kCases[] = {
      {R"({"a":1,"a":2})", "twice"},
      {R"({"a":{"b":1,"b":2}})", "twice"},
      {"{\"a\":1} x", "JSON"},
      {"{\"a\":}", "JSON"},
      {"", "JSON"},
      {"\"\xff\"", "JSON"},
      {"[1e400]", "JSON"},
      {"{'a':1}", "JSON"},
      {"[1,]", "JSON"},
  };
  for (const auto& [text, reason] : kCases) {
    const auto json = parse_json(text);
    ASSERT_FALSE(json) << text;
    EXPECT_NE(json.error().message.find(reason), std::string::npos) << json.error().message;
    ASSERT_EQ(json.error().problems.size(), 1u);
  }
  EXPECT_EQ(parse_json("{\n  \"a\": tru\n}").error().problems[0].where.substr(0, 2), "2:");
}

TEST(JsonParse, BoundsTheDepth) {
  EXPECT_TRUE(parse_json(std::string(32, '[') + std::string(32, ']')));
  EXPECT_FALSE(parse_json(std::string(33, '[') + std::string(33, ']')));
  EXPECT_FALSE(parse_json(std::string(100'000, '[')));
}

TEST(JsonParse, KeepsLargeIntegersExactly) {
  EXPECT_EQ((*parse_json("340282366920938463463374607431768211456")).get<std::string>(),
            "340282366920938463463374607431768211456");
}

TEST(JsonParse, LocatesValuesInTheText) {
  const std::string text = "{\n \"rules\": [ {\"x\":\"a,]\"},\n  {\"port_range\": \"80\"} ]\n}";
  ASSERT_TRUE(parse_json(text));
  const Position port = locate(text, "rules[1].port_range");
  EXPECT_EQ(port.line, 3u);
  EXPECT_EQ(port.column, 18u);
  EXPECT_EQ(locate(text, "rules[1].missing").column, locate(text, "rules[1]").column);
  EXPECT_EQ(locate(text, "12:7").line, 12u);
  const std::string shown = diagnostic("f.json", text, {"rules[1].port_range", "why"});
  EXPECT_NE(shown.find("f.json:3:18: error: rules[1].port_range: why"), std::string::npos);
  EXPECT_NE(shown.find("\n                   ^"), std::string::npos) << shown;
}

struct Good {
  const char* description;
  const char* fields;
  const char* first;
  const char* size;
};

TEST(GroupJson, ReadsNetworksInEverySpelling) {
  const Good kCases[] = {
      {"First IP and Size", R"("network":"manual","network_cidr":"10.0.0.5","network_size":10)",
       "10.0.0.5", "10"},
      {"a CIDR alone", R"("network":"manual","network_cidr":"10.0.0.0/24")", "10.0.0.0", "256"},
      {"a CIDR that agrees",
       R"("network":"manual","network_cidr":"10.0.0.0/24","network_size":256)", "10.0.0.0", "256"},
      {"the CIDR as network", R"("network":"10.0.0.0/24")", "10.0.0.0", "256"},
      {"the CIDR as network, as answered",
       R"("network":"10.0.0.0/24","network_cidr":"--","network_size":1)", "10.0.0.0", "256"},
      {"size as text", R"("network":"manual","network_cidr":"1.2.3.4","network_size":"1")",
       "1.2.3.4", "1"},
      {"all of IPv4", R"("network":"manual","network_cidr":"0.0.0.0","network_size":4294967296)",
       "0.0.0.0", "4294967296"},
      {"all of IPv6, as a bare number",
       R"("network":"manual","network_cidr":"::","network_size":340282366920938463463374607431768211456)",
       "::", "340282366920938463463374607431768211456"},
      {"IPv6, odd count", R"("network":"MANUAL","network_cidr":"2001:db8::5","network_size":3)",
       "2001:db8::5", "3"},
  };
  for (const Good& good : kCases) {
    const auto group = group_with(std::string(R"("protocol_name":"All",)") + good.fields);
    ASSERT_TRUE(group) << good.description << ": " << group.error().message;
    const AddressRange& range = group->rules[1].network.range;
    EXPECT_EQ(to_string(range.first), good.first) << good.description;
    EXPECT_EQ(size_text(range), good.size) << good.description;
  }
}

struct Bad {
  const char* description;
  const char* fields;
  const char* field;   // that must be named
  const char* reason;  // part of it
};

TEST(GroupJson, RefusesWithFieldAndReason) {
  const Bad kCases[] = {
      {"past the end of IPv4",
       R"("protocol_name":"All","network":"manual","network_cidr":"255.255.255.250","network_size":10)",
       "rules[1].network_size", "past the end"},
      {"past the end of IPv6",
       R"("protocol_name":"All","network":"manual","network_cidr":"::1","network_size":"340282366920938463463374607431768211456")",
       "rules[1].network_size", "past the end"},
      {"size 0",
       R"("protocol_name":"All","network":"manual","network_cidr":"1.1.1.1","network_size":0)",
       "rules[1].network_size", "least is 1"},
      {"a fraction",
       R"("protocol_name":"All","network":"manual","network_cidr":"1.1.1.1","network_size":1.5)",
       "rules[1].network_size", "whole number"},
      {"size that disagrees",
       R"("protocol_name":"All","network":"manual","network_cidr":"10.0.0.0/24","network_size":10)",
       "rules[1].network_size", "disagrees"},
      {"size that disagrees with the CIDR as network",
       R"("protocol_name":"All","network":"10.0.0.0/24","network_size":10)",
       "rules[1].network_size", "disagrees"},
      {"host bits", R"("protocol_name":"All","network":"manual","network_cidr":"10.0.0.1/24")",
       "rules[1].network_cidr", "host bits"},
      {"no size", R"("protocol_name":"All","network":"manual","network_cidr":"10.0.0.1")",
       "rules[1].network_size", "missing"},
      {"no First IP", R"("protocol_name":"All","network":"manual","network_size":1)",
       "rules[1].network_cidr", "missing"},
      {"unknown network", R"("protocol_name":"All","network":"everywhere")", "rules[1].network",
       "none of"},
      {"no network", R"("protocol_name":"All")", "rules[1].network", "missing"},
      {"unknown VPC", R"("protocol_name":"All","network":"myNetwork","vpc_id":"vpc_6")",
       "rules[1].vpc_id", "no VPC"},
      {"no VPC", R"("protocol_name":"All","network":"myNetwork")", "rules[1].vpc_id", "missing"},
      {"ports of All", R"("protocol_name":"All","port_range":"80","network":"any")",
       "rules[1].port_range", "takes no ports"},
      {"ports of ICMP", R"("protocol_name":"ICMP","port_range":"80","network":"any")",
       "rules[1].port_range", "takes no ports"},
      {"ports of GRE", R"("protocol_name":"GRE","port_range":"80","network":"any")",
       "rules[1].port_range", "takes no ports"},
      {"reversed ports", R"("protocol_name":"TCP","port_range":"443-80","network":"any")",
       "rules[1].port_range", "first port is greater than last"},
      {"unknown protocol", R"("protocol_name":"TCPP","network":"any")", "rules[1].protocol_name",
       "unknown protocol"},
      {"type of TCP", R"("protocol_name":"TCP","network":"any","icmp_type":8)",
       "rules[1].icmp_type", "no ICMP types"},
      {"code without type", R"("protocol_name":"ICMP","network":"any","icmp_code":0)",
       "rules[1].icmp_code", "needs its icmp_type"},
      {"type 256", R"("protocol_name":"ICMP","network":"any","icmp_type":256)",
       "rules[1].icmp_type", "0 to 255"},
      {"unknown field", R"("protocol_name":"All","network":"any","prot_range":"80")",
       "rules[1].prot_range", "unknown field"},
      {"protocol of a wrong type", R"("protocol_name":[],"network":"any")",
       "rules[1].protocol_name", "must be"},
  };
  for (const Bad& bad : kCases) {
    const auto group = group_with(bad.fields);
    ASSERT_FALSE(group) << bad.description;
    bool found = false;
    for (const Problem& problem : group.error().problems)
      found |= problem.where == bad.field && problem.message.find(bad.reason) != std::string::npos;
    EXPECT_TRUE(found) << bad.description << ": " << group.error().message;
  }
}

TEST(GroupJson, ListsAllProblemsAtOnce) {
  const auto json = parse_json(R"({"name":"no good","rules":[
    {"rule_type":"Sideways","protocol_name":"TCP","port_range":"9-8","network":"any"},
    {"rule_type":"Inbound","protocol_name":"X","network":"manual","network_cidr":"1.2","network_size":1}]})");
  const auto group = group_from_json(*json, {}, "security_groups[4].");
  ASSERT_FALSE(group);
  std::vector<std::string> places;
  for (const Problem& problem : group.error().problems) places.push_back(problem.where);
  EXPECT_EQ(places, (std::vector<std::string>{"security_groups[4].name",
                                              "security_groups[4].rules[0].rule_type",
                                              "security_groups[4].rules[0].port_range",
                                              "security_groups[4].rules[1].protocol_name",
                                              "security_groups[4].rules[1].network_cidr"}));
}

TEST(GroupJson, NeedsARuleOfEachDirection) {
  const auto json = parse_json(
      R"({"name":"g","rules":[{"rule_type":"inbound","protocol_name":"All","network":"any"}]})");
  const auto group = group_from_json(*json, {});
  ASSERT_FALSE(group);
  EXPECT_EQ(group.error().problems[0].where, "rules");
  EXPECT_NE(group.error().message.find("Outbound"), std::string::npos);
}

TEST(GroupJson, AnswersAnyAsThePortalDoes) {
  const Json rule = rule_to_json(builtin_groups()[0].rules[0]);
  EXPECT_EQ(rule["network_cidr"], "--");
  EXPECT_EQ(rule["network_size"], 1);
  EXPECT_EQ(rule["protocol_name"], "Custom_TCP");
  EXPECT_EQ(rule["port_range"], "80");
}

// An existing client reads a group and sends it back.
TEST(GroupJson, GivesBackEveryGroupUnchanged) {
  oracle::Random random(11);
  for (int round = 0; round < 300; ++round) {
    const Node node = oracle::random_node(random, {});
    for (const auto& [id, original] : node.groups) {
      const Json json = *parse_json(group_to_json(*original, false).dump());
      Group group = *original;
      for (Direction direction : {Direction::inbound, Direction::outbound}) {
        group.rules.push_back(Rule{});
        group.rules.back().direction = direction;
      }
      const auto back = group_from_json(group_to_json(group, false), node);
      ASSERT_TRUE(back) << back.error().message;
      ASSERT_EQ(back->rules.size(), group.rules.size());
      for (std::size_t i = 0; i < group.rules.size(); ++i) {
        Rule expected = group.rules[i];
        // A number with a name of its own prints and returns as that name.
        expected.protocol = *parse_protocol(to_string(expected.protocol));
        EXPECT_EQ(back->rules[i], expected) << rule_to_json(group.rules[i]).dump();
      }
    }
  }
}

TEST(VpcJson, TakesPrefixesOfBothFamilies) {
  const auto vpc = vpc_from_json(*parse_json(
      R"({"vpc_name":"prod","ipv4_cidr":"10.0.0.0/16","cidrs":["2001:db8::/48","10.0.0.0/16"]})"));
  ASSERT_TRUE(vpc) << vpc.error().message;
  EXPECT_EQ(vpc->prefixes.size(), 2u);
  EXPECT_FALSE(vpc_from_json(*parse_json(R"({"vpc_name":"prod"})")));
  EXPECT_FALSE(vpc_from_json(*parse_json(R"({"vpc_name":"p","ipv4_cidr":"2001:db8::/48"})")));
}

TEST(NodeJson, RefusesClaimsNamesAndReferencesThatClash) {
  const auto node = node_from_json(*parse_json(R"({
    "security_groups":[
      {"name":"a","rules":[{"rule_type":"Inbound","protocol_name":"All","network":"any"},
                           {"rule_type":"Outbound","protocol_name":"All","network":"any"}]},
      {"name":"a","rules":[{"rule_type":"Inbound","protocol_name":"All","network":"any"},
                           {"rule_type":"Outbound","protocol_name":"All","network":"any"}]}],
    "load_balancers":[
      {"name":"x","addresses":["10.0.0.1"],"security_groups":["a","nosuch"]},
      {"name":"x","addresses":["10.0.0.1"],"status":"Walking"}],
    "load_balancer":[]})"));
  ASSERT_FALSE(node);
  std::set<std::string> places;
  for (const Problem& problem : node.error().problems) places.insert(problem.where);
  for (const char* place :
       {"load_balancer", "security_groups[1].name", "load_balancers[0].security_groups[1]",
        "load_balancers[1].name", "load_balancers[1].addresses[0]", "load_balancers[1].status"})
    EXPECT_TRUE(places.contains(place)) << place;
}

}  // namespace
}  // namespace sluice::rules
