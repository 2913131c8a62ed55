// SPDX-License-Identifier: Apache-2.0
//
// Whole documents: what applying one changes, what it refuses and where, and that an export
// applies to no change.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "control/plan.h"
#include "control/service_apply.h"
#include "rules/builtin_groups.h"
#include "rules/node_json.h"
#include "rules/service_axis.h"
#include "tests/control/publisher_bed.h"
#include "tests/oracle/random_node.h"

namespace sluice::control {
namespace {

using rules::ErrorCode;
using rules::Json;

const std::vector<std::string> kZones{"edge", "second"};

Json parsed(const std::string& text) {
  auto json = rules::parse_json(text);
  EXPECT_TRUE(json) << text;
  return json ? *json : Json();
}

const std::string kOut = R"({"rule_type":"Outbound","protocol_name":"All","network":"any"})";
std::string in(const std::string& ports) {
  return R"({"rule_type":"Inbound","protocol_name":"TCP","network":"any","port_range":")" + ports +
         "\"}";
}
std::string group(const std::string& name, const std::string& ports = "80") {
  return R"({"name":")" + name + R"(","rules":[)" + in(ports) + "," + kOut + "]}";
}
std::string groups(const std::string& items) {
  return R"("security_groups":[)" + items + "]";
}
std::string lbs(const std::string& items) {
  return R"("load_balancers":[)" + items + "]";
}
const std::string kWeb =
    R"({"name":"web","addresses":["10.0.0.1"],"security_groups":["a"],"status":"Running"})";

rules::Result<Outcome> applied(const State& state, const std::string& text) {
  return apply_document(state, parsed("{" + text + "}"), kZones);
}

// Groups a (80) and b (22), LB web with a.
State sample() {
  const auto outcome =
      applied(first_state(), groups(group("a") + "," + group("b", "22")) + "," + lbs(kWeb));
  EXPECT_TRUE(outcome) << outcome.error().message;
  return outcome->next;
}

// The plan as the lines that people see.
std::string lines_of(const Json& plan) {
  std::string text;
  for (const PlanLine& line : plan_lines(plan))
    text += std::string(1, line.mark) + line.text + "\n";
  return text;
}

struct Case {
  const char* description;
  std::string document;
  std::string plan;
};

class ApplyPlan : public testing::TestWithParam<Case> {};

TEST_P(ApplyPlan, IsTheDifference) {
  const State before = sample();
  const auto outcome = applied(before, GetParam().document);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(lines_of(outcome->answer["plan"]), GetParam().plan);
  EXPECT_EQ(outcome->is_answer_only, GetParam().plan.empty());
  // Applied again it changes nothing, and no id is spent on that.
  const auto again = applied(outcome->next, GetParam().document);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(lines_of(again->answer["plan"]), "");
  EXPECT_EQ(again->next.next_rule, outcome->next.next_rule);
  EXPECT_EQ(again->next.next_group, outcome->next.next_group);
}

const std::string kBoth = group("a") + "," + group("b", "22");

INSTANTIATE_TEST_SUITE_P(
    Documents, ApplyPlan,
    testing::Values(
        Case{"nothing named: all is left alone", "", ""},
        Case{"what is there already", groups(kBoth) + "," + lbs(kWeb), ""},
        Case{"a section that is absent is left alone", groups(kBoth), ""},
        Case{"a group not named is deleted", groups(group("a")), "-security group b\n"},
        Case{"a new group", groups(kBoth + "," + group("c", "1-5")),
             "+security group c\n+    rule Inbound Custom_TCP 1-5 from any\n"
             "+    rule Outbound All to any\n"},
        Case{"a rule more",
             groups(R"({"name":"a","rules":[)" + in("80") + "," + in("81") + "," + kOut + "]}," +
                    group("b", "22")),
             "~security group a\n+    rule Inbound Custom_TCP 81 from any\n"},
        Case{"another port is another rule", groups(group("a", "81") + "," + group("b", "22")),
             "~security group a\n-    rule Inbound Custom_TCP 80 from any\n"
             "+    rule Inbound Custom_TCP 81 from any\n"},
        Case{"rules in another order",
             groups(R"({"name":"a","rules":[)" + kOut + "," + in("80") + "]}," + group("b", "22")),
             "~security group a\n~    the order of the rules\n"},
        Case{"a group more on the load balancer",
             lbs(R"({"name":"web","security_groups":["b","a","default"]})"),
             "~load balancer web\n+    attachment b\n+    attachment default\n"},
        Case{"addresses and status", lbs(R"({"name":"web","status":"Error","addresses":["10.0.0.1",
             {"address":"2001:db8::1","kind":"public"}]})"),
             "~load balancer web\n~    status: Running -> Error\n"
             "+    address 2001:db8::1 (public)\n"},
        Case{"another zone", lbs(R"({"name":"web","zone":"second"})"),
             "~load balancer web\n~    zone: edge -> second\n"},
        Case{"no load balancer any more", lbs(""), "-load balancer web\n"},
        Case{"a load balancer without groups gets the default of the document",
             R"("default_group":"b",)" + lbs(kWeb + R"(,{"name":"new","addresses":["10.0.0.2"]})"),
             "~default group b\n~    default_group: default -> b\n+load balancer new\n"
             "+    address 10.0.0.2 (private)\n+    attachment b\n"},
        Case{"a built-in group that is not named stays, one that is absent goes",
             groups(kBoth + R"(,{"name":"Allow-All-Traffic","absent":true})"),
             "-security group Allow-All-Traffic\n"},
        Case{"a built-in group is edited like every other", groups(kBoth + "," + group("default")),
             "~security group default\n~    description: \"Attached to every load balancer at its "
             "creation\" -> \"\"\n-    rule Inbound Custom_TCP 443 from any\n"
             "-    rule Inbound ICMP from any\n"},
        Case{"a VPC and a rule that names it",
             R"("vpcs":[{"vpc_name":"prod","cidrs":["10.8.0.0/16"]}],)" +
                 groups(kBoth + R"(,{"name":"inner","rules":[{"rule_type":"Inbound",
                 "protocol_name":"ICMP","icmp_type":8,"network":"myNetwork","vpc_id":"prod"},)" +
                        kOut + "]}"),
             "+vpc prod\n+    prefix 10.8.0.0/16\n+security group inner\n"
             "+    rule Inbound ICMP type 8 from VPC prod\n+    rule Outbound All to any\n"}),
    [](const auto& one) { return "Case" + std::to_string(one.index); });

struct Refusal {
  std::string document;
  ErrorCode code;
  std::vector<std::string> problems;  // "place: part of the message"
};

class ApplyRefusal : public testing::TestWithParam<Refusal> {};

TEST_P(ApplyRefusal, NamesEveryProblemAndItsPlace) {
  State before = sample();
  auto lb = *before.node.load_balancers.at(1);
  lb.id = before.next_lb++, lb.name = "new", lb.status = rules::LbStatus::creating;
  lb.addresses = {{rules::Address::ipv4(0x0a000009), rules::AddressKind::public_ip}};
  before.node.load_balancers[lb.id] = std::make_shared<const rules::LoadBalancer>(lb);
  const auto outcome = applied(before, GetParam().document);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, GetParam().code) << outcome.error().message;
  ASSERT_EQ(outcome.error().problems.size(), GetParam().problems.size()) << outcome.error().message;
  for (std::size_t i = 0; i < GetParam().problems.size(); ++i) {
    const auto& problem = outcome.error().problems[i];
    const std::string text = problem.where + ": " + problem.message;
    EXPECT_TRUE(text.starts_with(GetParam().problems[i].substr(0, problem.where.size() + 2)))
        << text;
    EXPECT_NE(text.find(GetParam().problems[i].substr(problem.where.size() + 2)), std::string::npos)
        << text;
  }
}

const std::string kNew = R"({"name":"new","security_groups":["a"]})";

INSTANTIATE_TEST_SUITE_P(
    Documents, ApplyRefusal,
    testing::Values(
        Refusal{
            groups(group("a", "9-8") + "," + group("x y")) + "," +
                lbs(R"({"name":"web","zone":"nosuch","addresses":["10.0.0.300"]})") +
                R"(,"nosuch":1)",
            ErrorCode::invalid,
            {"nosuch: unknown field",
             "security_groups[0].rules[0].port_range: first port is greater",
             "security_groups[1].name: only letters",
             "load_balancers[0].zone: no zone of this node", "load_balancers[0].addresses[0]: "}},
        Refusal{groups(group("b")),
                ErrorCode::conflict,
                {"security_groups: \"a\" is attached to load balancer web",
                 "security_groups: \"a\" is attached to load balancer new"}},
        Refusal{lbs(R"({"name":"web","security_groups":["b"]},)" + kNew),
                ErrorCode::conflict,
                {"load_balancers[0].security_groups: \"a\" is the default group"}},
        Refusal{lbs(R"({"name":"web","security_groups":["a","b"],"default_group":"b"},)" + kNew),
                ErrorCode::conflict,
                {"load_balancers[0].default_group: recorded at its creation"}},
        Refusal{lbs(R"({"name":"web"},{"name":"new","security_groups":["a","b"]})"),
                ErrorCode::conflict,
                {"load_balancers[1].security_groups: load balancer new is Creating"}},
        Refusal{lbs(R"({"name":"web","addresses":["10.0.0.9"]},)" + kNew),
                ErrorCode::invalid,
                {"load_balancers[1].addresses: 10.0.0.9 has an owner"}},
        Refusal{lbs(R"({"name":"web"},)" + kNew +
                    R"(,{"name":"z","addresses":["10.0.0.5"],"security_groups":[]})"),
                ErrorCode::invalid,
                {"load_balancers[2].security_groups: at least its default"}},
        Refusal{groups(kBoth + R"(,{"name":"default","absent":true})"),
                ErrorCode::conflict,
                {"security_groups: \"default\" is the account's default group"}},
        Refusal{R"("default_group":"nosuch")",
                ErrorCode::invalid,
                {"default_group: there is no security group \"nosuch\""}},
        Refusal{R"("vpcs":[{"vpc_name":"vpc_99","cidrs":["10.0.0.0/8"]}])",
                ErrorCode::invalid,
                {"vpcs[0].vpc_name: reads as the id"}}),
    [](const auto& one) { return "Case" + std::to_string(one.index); });

TEST(Apply, AsksTheStatusThatTheLoadBalancerHasOrGets) {
  State state = sample();
  state = *set_status(state, 1, {{"status", "Upgrading"}}).map([](auto one) { return one.next; });
  const char* attach = R"({"name":"web","security_groups":["a","b"])";
  EXPECT_FALSE(applied(state, lbs(std::string(attach) + "}")));
  EXPECT_FALSE(applied(state, lbs(std::string(attach) + R"(,"status":"Error"})")));
  EXPECT_TRUE(applied(state, lbs(std::string(attach) + R"(,"status":"Running"})")));
  EXPECT_TRUE(applied(sample(), lbs(std::string(attach) + R"(,"status":"Powered off"})")));
}

TEST(Apply, KeepsIdentitiesAndValuesThatDoNotChange) {
  const State before = sample();
  const auto outcome = applied(before, groups(R"({"name":"b","rules":[)" + in("22") + "," +
                                              in("2222") + "," + kOut + "]}," + group("a")));
  ASSERT_TRUE(outcome) << outcome.error().message;
  const auto& after = outcome->next.node;
  EXPECT_EQ(after.groups.at(3), before.node.groups.at(3));  // one and the same value
  EXPECT_EQ(after.groups.at(4)->rules[0].id, before.node.groups.at(4)->rules[0].id);
  EXPECT_EQ(after.groups.at(4)->rules[2].id, before.node.groups.at(4)->rules[1].id);
  EXPECT_EQ(after.groups.at(4)->rules[1].id, before.next_rule);
  EXPECT_TRUE(after.load_balancers.is_same(before.node.load_balancers));
}

TEST(Apply, KeepsAVpcUnderARuleThatNamesIt) {
  State state = sample();
  state = create_vpc(state, {{"vpc_name", "prod"}, {"cidrs", {"10.8.0.0/16"}}})->next;
  const std::string named = R"({"name":"b","rules":[{"rule_type":"Inbound","protocol_name":"All",
      "network":"myNetwork","vpc_id":"prod"},)" +
                            kOut + "]}";
  state = applied(state, groups(group("a") + "," + named))->next;
  const auto refused = applied(state, R"("vpcs":[])");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().problems[0].where, "vpcs");
  EXPECT_TRUE(applied(state, R"("vpcs":[],)" + groups(kBoth)));
}

TEST(Apply, IsOneGenerationAndADryRunIsNone) {
  Bed bed;
  const auto change = [&](const std::string& text, const Json& options = Json::object()) {
    ChangeRequest request{[text](const State& state) { return applied(state, text); }};
    request.options = read_change_options(options, request.problems);
    return bed.request(std::move(request));
  };
  const std::string document = groups(kBoth) + "," + lbs(kWeb);
  auto answer = change(document, {{"dry_run", true}});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->generation, 1u);
  EXPECT_EQ(answer->answer["plan"].size(), 3u);
  EXPECT_TRUE(answer->is_dry_run);
  EXPECT_EQ(bed.plane.generation(), 1u);
  EXPECT_TRUE(bed.publisher.state()->node.load_balancers.empty());

  answer = change(document, {{"flows", "keep"}});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->generation, 2u);
  EXPECT_EQ(answer->flows.kept, 7u);
  EXPECT_EQ(bed.plane.generation(), 2u);
  EXPECT_EQ(bed.store.stored->node.load_balancers.size(), 1u);

  answer = change(document);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->generation, 2u) << "nothing to change is no generation";
  EXPECT_EQ(bed.plane.generation(), 2u);
}

// A random node as a state that the API could have come to.
State random_state(oracle::Random& random) {
  State state = first_state();
  const auto node = oracle::random_node(random, {6, 6, 5});
  state.node.vpcs = node.vpcs;
  state.next_vpc = 2;
  if (oracle::chance(random, 30)) state.node.groups.erase(rules::kAllowAllGroupId);
  const auto first = state.next_group;
  for (const auto& [id, group] : node.groups) {
    auto copy = *group;
    copy.id = state.next_group++;
    copy.description = oracle::chance(random, 50) ? "" : "a \"quoted\" \x1b text";
    for (auto& rule : copy.rules) {
      rule.id = state.next_rule++;
      // What has a name of its own is never kept by its number.
      if (rules::kServiceAxes.of[rule.protocol.number].axis != rules::kAxisOther)
        rule.protocol.number = 47;
      if (oracle::chance(random, 20)) rule.description = "why";
    }
    for (auto direction : {rules::Direction::inbound, rules::Direction::outbound}) {
      rules::Rule rule;
      rule.id = state.next_rule++;
      rule.direction = direction;
      rule.protocol = {rules::ProtocolKind::number, 47};
      copy.rules.push_back(rule);
    }
    state.node.groups[copy.id] = std::make_shared<const rules::Group>(std::move(copy));
  }
  state.node.account_default_group = first + static_cast<rules::GroupId>(oracle::below(random, 6));
  if (oracle::chance(random, 30)) state.node.groups.erase(rules::kDefaultGroupId);
  for (const auto& [id, lb] : node.load_balancers) {
    auto copy = *lb;
    copy.zone = kZones[oracle::below(random, 2)];
    copy.status = static_cast<rules::LbStatus>(oracle::below(random, 9));
    for (auto& owned : copy.addresses)
      owned.kind = static_cast<rules::AddressKind>(oracle::below(random, 3));
    copy.groups.assign(1, first);
    for (rules::GroupId group = first + 5; group > first; --group)
      if (oracle::chance(random, 50)) copy.groups.push_back(group);
    copy.default_group = copy.groups[oracle::below(random, copy.groups.size())];
    if (oracle::chance(random, 50))
      copy.registration = R"({"backends":[{"name":"b"}],"lb_port":80})";
    state.node.load_balancers[id] = std::make_shared<const rules::LoadBalancer>(std::move(copy));
    state.next_lb = id + 1;
  }
  return state;
}

TEST(Export, AppliesToNoChangeAndMakesAnEmptyNodeTheSame) {
  const char* given = std::getenv("SLUICE_SEED");
  const std::uint64_t seed = given != nullptr ? std::stoull(given) : std::random_device{}();
  SCOPED_TRACE("SLUICE_SEED=" + std::to_string(seed));
  oracle::Random random(seed);
  for (int round = 0; round < 50; ++round) {
    const State state = random_state(random);
    // Through the text, as it goes through a file.
    const Json document = parsed(export_document(state).dump());
    const auto same = apply_document(state, document, kZones);
    ASSERT_TRUE(same) << same.error().message;
    ASSERT_EQ(lines_of(same->answer["plan"]), "") << document.dump(1);
    const auto copy = apply_document(first_state(), document, kZones);
    ASSERT_TRUE(copy) << copy.error().message << document.dump(1);
    ASSERT_EQ(export_document(copy->next), document);
    ASSERT_TRUE(rules::node_from_json(document));  // what check and simulate read
  }
}

}  // namespace
}  // namespace sluice::control
