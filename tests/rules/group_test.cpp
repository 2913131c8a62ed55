// SPDX-License-Identifier: Apache-2.0
//
// SEMANTICS §2, "Group", and "Every refused input names the field and the reason".
#include <gtest/gtest.h>

#include "rules/builtin_groups.h"
#include "rules/validate.h"
#include "tests/oracle/random_node.h"
#include "tests/rules/rule_json.h"

namespace sluice::rules {
namespace {

constexpr const char* kBothDirections = R"("rules":[
  {"rule_type":"Inbound","protocol_name":"All","network":"any"},
  {"rule_type":"Outbound","protocol_name":"All","network":"any"}])";

Result<Group> read(const std::string& text, std::string_view where = {}) {
  const auto json = parse_json(text);
  if (!json) return tl::unexpected(json.error());
  return group_from_json(*json, node_with_vpc(), where);
}

std::vector<std::string> places(const Error& error) {
  std::vector<std::string> places;
  for (const Problem& problem : error.problems) places.push_back(problem.where);
  return places;
}

TEST(GroupName, IsTrimmedAndOneToFiftyOfItsCharacters) {
  for (const auto& [text, name] : {std::pair{std::string("web"), std::string("web")},
                                   {"  web_1-A  ", "web_1-A"},
                                   {"\tweb", "web"},
                                   {"0", "0"},
                                   {"-", "-"},
                                   {std::string(50, 'a'), std::string(50, 'a')},
                                   {"  " + std::string(50, 'z') + "  ", std::string(50, 'z')}}) {
    const auto parsed = parse_name(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(*parsed, name);
  }
  for (const auto& [text, reason] :
       {std::pair{std::string(51, 'a'), "51 characters are more than 50"},
        {"", "missing"},
        {"   ", "missing"},
        {"a b", "only letters"},
        {"a.b", "only letters"},
        {"a\nb", "only letters"},
        {"a/b", "only letters"},
        {std::string("a\0b", 3), "only letters"},
        {"\xc3\xa9", "only letters"},
        {"\xd0\xb0", "only letters"}}) {
    const auto parsed = parse_name(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_NE(parsed.error().message.find(reason), std::string::npos) << parsed.error().message;
  }
}

TEST(GroupJson, IsRefusedWithFieldAndReason) {
  const std::string both = kBothDirections;
  const std::array<std::string, 4> kCases[] = {
      {"no name", "{" + both + "}", "name", "missing"},
      {"a name that is none", R"({"name":"a b",)" + both + "}", "name", "only letters"},
      {"a name of a wrong type", R"({"name":7,)" + both + "}", "name", "must be a text"},
      {"a description of a wrong type", R"({"name":"a","description":7,)" + both + "}",
       "description", "must be a text"},
      {"a long description",
       R"({"name":"a","description":")" + std::string(1025, 'x') + "\"," + both + "}",
       "description", "longer than 1024"},
      {"no rules", R"({"name":"a"})", "rules", "missing"},
      {"rules of a wrong type", R"({"name":"a","rules":{}})", "rules", "must be a list"},
      {"a rule of a wrong type", R"({"name":"a","rules":[7]})", "rules[0]", "must be an object"},
      {"no object", R"([])", "", "must be an object"},
  };
  for (const auto& [description, text, field, reason] : kCases) {
    const auto group = read(text);
    ASSERT_FALSE(group) << description;
    EXPECT_TRUE(names(group.error(), field, reason)) << description << group.error().message;
  }
}

TEST(GroupJson, NeedsARuleOfEachDirection) {
  const auto rule = [](const char* direction) {
    return std::string(R"({"protocol_name":"All","network":"any","rule_type":")") + direction +
           "\"}";
  };
  for (const auto& [rules, missed] : {std::pair{rule("inbound"), "Outbound"},
                                      {rule("OUTBOUND"), "Inbound"},
                                      {rule("Inbound") + "," + rule("Inbound"), "Outbound"},
                                      {std::string(), "Inbound"},
                                      {std::string(), "Outbound"}}) {
    const auto group = read(R"({"name":"g","rules":[)" + rules + "]}");
    ASSERT_FALSE(group) << rules;
    EXPECT_TRUE(names(group.error(), "rules", std::string("one ") + missed + " rule is needed"))
        << group.error().message;
  }
  EXPECT_TRUE(read(R"({"name":"g","rules":[)" + rule("outbound") + "," + rule("INBOUND") + "]}"));
}

TEST(GroupJson, KnowsEveryFieldOfARule) {
  expect_refused({
      {"a misspelt field", R"("protocol_name":"All","network":"any","prot_range":"80")",
       "prot_range", "unknown field; known are id, rule_type"},
      {"another's field", R"("protocol_name":"All","network":"any","action":"deny")", "action",
       "unknown field"},
      {"a field in another case", R"("protocol_name":"All","network":"any","Port_Range":"80")",
       "Port_Range", "unknown field"},
      {"an id that is none", R"("protocol_name":"All","network":"any","id":-1)", "id",
       "whole number"},
      {"an id too large", R"("protocol_name":"All","network":"any","id":4294967296)", "id",
       "4294967295"},
      {"a description of a wrong type", R"("protocol_name":"All","network":"any","description":[])",
       "description", "must be a text"},
      {"a long description",
       R"("protocol_name":"All","network":"any","description":")" + std::string(1025, 'x') + "\"",
       "description", "longer than 1024"},
  });
  // Of a group, what clients send beside it is ignored.
  EXPECT_TRUE(
      read(std::string(R"({"name":"g","apikey":"x","project_id":7,)") + kBothDirections + "}"));
}

TEST(GroupJson, RefusesARuleTypeThatIsNone) {
  for (const auto& [value, reason] :
       {std::pair{R"("rule_type":"Sideways",)", "neither Inbound nor Outbound"},
        {R"("rule_type":" Inbound",)", "neither Inbound nor Outbound"},
        {R"("rule_type":1,)", "must be a text"},
        {R"("rule_type":null,)", "missing"},
        {"", "missing"}}) {
    const auto group = read(std::string(R"({"name":"g","rules":[{)") + value +
                            R"("protocol_name":"All","network":"any"}]})");
    ASSERT_FALSE(group) << value;
    EXPECT_TRUE(names(group.error(), "rules[0].rule_type", reason)) << group.error().message;
    // Which direction is missed cannot be known.
    EXPECT_EQ(group.error().problems.size(), 1u) << group.error().message;
  }
}

TEST(GroupJson, ListsAllProblemsAtOnce) {
  const auto group = read(R"({"name":"no good","description":7,"rules":[
    {"rule_type":"Inbound","protocol_name":"TCP","port_range":"9-8","network":"any","x":1},
    {"rule_type":"Inbound","protocol_name":"X","port_range":"70000","network":"manual",
     "network_cidr":"1.2","network_size":0},
    {"rule_type":"Inbound","protocol_name":"ICMP","icmp_type":300,"icmp_code":-1,
     "network":"myNetwork","vpc_id":"vpc_99"},
    {}]})",
                          "security_groups[4].");
  ASSERT_FALSE(group);
  EXPECT_EQ(
      places(group.error()),
      (std::vector<std::string>{
          "security_groups[4].name", "security_groups[4].description",
          "security_groups[4].rules[0].x", "security_groups[4].rules[0].port_range",
          "security_groups[4].rules[1].protocol_name", "security_groups[4].rules[1].port_range",
          "security_groups[4].rules[1].network_size", "security_groups[4].rules[1].network_cidr",
          "security_groups[4].rules[2].icmp_type", "security_groups[4].rules[2].icmp_code",
          "security_groups[4].rules[2].vpc_id", "security_groups[4].rules[3].rule_type",
          "security_groups[4].rules[3].protocol_name", "security_groups[4].rules[3].network"}));
  EXPECT_TRUE(
      group.error().message.starts_with("14 problems; the first is security_groups[4].name"));
}

// A direction without a rule is told beside what is wrong in the rules there are.
TEST(GroupJson, TellsTheMissingDirectionBesideTheRest) {
  const auto group = read(R"({"name":"g","rules":[
    {"rule_type":"Inbound","protocol_name":"TCP","port_range":"9-8","network":"any"}]})");
  ASSERT_FALSE(group);
  EXPECT_EQ(places(group.error()), (std::vector<std::string>{"rules[0].port_range", "rules"}));
}

TEST(GroupJson, QuotesWhatWasWrittenBoundedAndPrintable) {
  const auto group =
      read(R"({"name":"g","rules":[{"rule_type":"\u001b[2J\u202e","protocol_name":")" +
           std::string(100'000, 'x') + R"(","network":"any"}]})");
  ASSERT_FALSE(group);
  EXPECT_TRUE(names(group.error(), "rules[0].rule_type", R"("\x1b[2J\xe2\x80\xae")"))
      << group.error().message;
  for (const Problem& problem : group.error().problems) EXPECT_LT(problem.message.size(), 300u);
}

TEST(BuiltinGroups, AreWhatTheContractSays) {
  const auto [standard, open] = builtin_groups();
  EXPECT_EQ(standard.name, "default");
  EXPECT_FALSE(standard.is_all_traffic_rule);
  const std::array<const char*, 3> kStandard[] = {{"Inbound", "Custom_TCP", "80"},
                                                  {"Inbound", "Custom_TCP", "443"},
                                                  {"Inbound", "ICMP", "All"},
                                                  {"Outbound", "All", "All"}};
  ASSERT_EQ(standard.rules.size(), 4u);
  EXPECT_EQ(open.name, "Allow-All-Traffic");
  EXPECT_TRUE(open.is_all_traffic_rule);
  const std::array<const char*, 3> kOpen[] = {{"Inbound", "All", "All"},
                                              {"Outbound", "All", "All"}};
  ASSERT_EQ(open.rules.size(), 2u);
  const auto expect = [](const Rule& rule, const std::array<const char*, 3>& expected) {
    const Json json = rule_to_json(rule);
    EXPECT_EQ(json["rule_type"], expected[0]);
    EXPECT_EQ(json["protocol_name"], expected[1]);
    EXPECT_EQ(json["port_range"], expected[2]);
    EXPECT_EQ(json["network"], "any");
    EXPECT_EQ(json["network_cidr"], "--");
    EXPECT_EQ(json["network_size"], 1);
  };
  for (std::size_t i = 0; i < 4; ++i) expect(standard.rules[i], kStandard[i]);
  for (std::size_t i = 0; i < 2; ++i) expect(open.rules[i], kOpen[i]);
  // They are groups like every other: what a client would create.
  for (const Group& group : {standard, open}) {
    EXPECT_TRUE(check_group(group, "").empty());
    const auto again = group_from_json(group_to_json(group, false), {});
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->rules, group.rules);
  }
}

// The text that lists are made of is that of the value.
TEST(GroupJson, IsTheSameTextBothWays) {
  oracle::Random random(12);
  Group odd;
  odd.name = "odd";
  odd.description = "quoted \" back\\slash \n tab\t \x01 \x7f caf\u00e9 \xff broken \xc3";
  odd.rules.resize(2);
  odd.rules[1].icmp_type = 3;
  odd.rules[1].description = odd.description;
  std::vector<Group> groups{odd, builtin_groups()[0], builtin_groups()[1], Group{}};
  for (int round = 0; round < 100; ++round) {
    const Node node = oracle::random_node(random, {});
    for (const auto& [id, group] : node.groups) groups.push_back(*group);
  }
  for (const Group& group : groups)
    for (const bool is_default : {true, false}) {
      std::string text = "before ";
      append_group_json(group, is_default, text);
      EXPECT_EQ(text, "before " + group_to_json(group, is_default)
                                      .dump(-1, ' ', false, Json::error_handler_t::replace));
    }
}

// An existing client reads a group and sends it back.
TEST(GroupJson, GivesBackEveryGroupUnchanged) {
  oracle::Random random(11);
  for (int round = 0; round < 300; ++round) {
    const Node node = oracle::random_node(random, {});
    for (const auto& [id, original] : node.groups) {
      Group group = *original;
      for (Direction direction : {Direction::inbound, Direction::outbound}) {
        group.rules.push_back(Rule{});
        group.rules.back().direction = direction;
      }
      const auto back = group_from_json(*parse_json(group_to_json(group, false).dump()), node);
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

}  // namespace
}  // namespace sluice::rules
