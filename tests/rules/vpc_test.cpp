// SPDX-License-Identifier: Apache-2.0
//
// SEMANTICS §2: `myNetwork`, and the VPCs it names.
#include <gtest/gtest.h>

#include "rules/compile.h"
#include "tests/rules/rule_json.h"

namespace sluice::rules {
namespace {

std::string with(const std::string& fields) {
  return R"("protocol_name":"All","network":"myNetwork")" + fields;
}

TEST(MyNetwork, NamesAVpcByIdOrByName) {
  for (const char* vpc : {R"("vpc_5")", R"("5")", "5", R"("prod")"}) {
    const auto group = group_with(with(std::string(R"(,"vpc_id":)") + vpc));
    ASSERT_TRUE(group) << vpc << ": " << group.error().message;
    EXPECT_EQ(group->rules[1].network, (Network{NetworkType::my_network, {}, 5})) << vpc;
    const Json json = rule_to_json(group->rules[1]);
    EXPECT_EQ(json["network"], "myNetwork");
    EXPECT_EQ(json["vpc_id"], "vpc_5");
    EXPECT_EQ(json["network_cidr"], "--");
  }
  EXPECT_TRUE(group_with(R"("protocol_name":"All","network":"MYNETWORK","vpc_id":5)"));
}

TEST(MyNetwork, IsNeverClippedToASize) {
  const auto group =
      group_with(with(R"(,"vpc_id":"vpc_5","network_cidr":"10.8.0.0","network_size":1)"));
  ASSERT_TRUE(group) << group.error().message;
  EXPECT_EQ(group->rules[1].network, (Network{NetworkType::my_network, {}, 5}));
}

TEST(MyNetwork, RefusesAVpcThatIsNotThere) {
  expect_refused({
      {"unknown", with(R"(,"vpc_id":"vpc_6")"), "vpc_id", "there is no VPC \"vpc_6\""},
      {"unknown by name", with(R"(,"vpc_id":"test")"), "vpc_id", "there is no VPC \"test\""},
      {"a leading zero", with(R"(,"vpc_id":"vpc_05")"), "vpc_id", "there is no VPC"},
      {"a part of a name", with(R"(,"vpc_id":"pro")"), "vpc_id", "there is no VPC"},
      {"an id with more behind it", with(R"(,"vpc_id":"vpc_5x")"), "vpc_id", "there is no VPC"},
      {"only the prefix", with(R"(,"vpc_id":"vpc_")"), "vpc_id", "there is no VPC"},
      {"negative", with(R"(,"vpc_id":-5)"), "vpc_id", "there is no VPC"},
      {"none", with(""), "vpc_id", "missing"},
      {"null", with(R"(,"vpc_id":null)"), "vpc_id", "missing"},
      {"empty", with(R"(,"vpc_id":"")"), "vpc_id", "missing"},
      {"a list", with(R"(,"vpc_id":[5])"), "vpc_id", "must be"},
  });
}

// What an id says must not depend on how somebody named another VPC.
TEST(MyNetwork, TakesTheIdBeforeAName) {
  Node node = node_with_vpc();
  node.vpcs[2] = std::make_shared<const Vpc>(Vpc{2, "vpc_5", {{Address::ipv4(0), 0}}});
  EXPECT_EQ(find_vpc(node, "vpc_5"), 5u);
  EXPECT_EQ(find_vpc(node, "2"), 2u);
  EXPECT_EQ(find_vpc(node, "vpc_9"), std::nullopt);
}

TEST(Vpc, HasPrefixesOfBothFamilies) {
  const auto vpc = vpc_from_json(*parse_json(
      R"({"vpc_name":"prod","ipv4_cidr":"10.0.0.0/16","cidrs":["2001:db8::/48","10.0.0.0/16"]})"));
  ASSERT_TRUE(vpc) << vpc.error().message;
  EXPECT_EQ(vpc->prefixes.size(), 2u);
  const Json json = vpc_to_json(*vpc);
  EXPECT_EQ(json["ipv4_cidr"], "10.0.0.0/16");
  EXPECT_EQ(json["ipv6_cidr"], "2001:db8::/48");
  EXPECT_EQ(*vpc_from_json(json), *vpc);
}

TEST(Vpc, IsRefusedWithFieldAndReason) {
  const std::array<const char*, 3> kCases[] = {
      {R"({"vpc_name":"p"})", "ipv4_cidr", "at least one"},
      {R"({"vpc_name":"p","ipv4_cidr":"2001:db8::/48"})", "ipv4_cidr", "must be of IPv4"},
      {R"({"vpc_name":"p","ipv6_cidr":"10.0.0.0/8"})", "ipv6_cidr", "must be of IPv6"},
      {R"({"vpc_name":"p","ipv4_cidr":"10.0.0.1/8"})", "ipv4_cidr", "host bits"},
      {R"({"vpc_name":"p","cidrs":["10.0.0.0/8","10.1"]})", "cidrs[1]", "no prefix length"},
      {R"({"vpc_name":"p","cidrs":"10.0.0.0/8"})", "cidrs", "must be a list"},
      {R"({"vpc_name":"p q","ipv4_cidr":"10.0.0.0/8"})", "vpc_name", "only letters"},
      {R"({"ipv4_cidr":"10.0.0.0/8"})", "vpc_name", "missing"},
  };
  for (const auto& [text, field, reason] : kCases) {
    const auto vpc = vpc_from_json(*parse_json(text));
    ASSERT_FALSE(vpc) << text;
    EXPECT_TRUE(names(vpc.error(), field, reason)) << text << ": " << vpc.error().message;
  }
}

// All prefixes count, and the table follows the VPC, whose rule stays the same value.
TEST(MyNetwork, IsResolvedWhenTheTableIsCompiled) {
  Node node = node_with_vpc();
  Group group = *group_with(with(R"(,"vpc_id":"vpc_5")"));
  group.id = 1;
  node.groups[1] = std::make_shared<const Group>(group);
  LoadBalancer lb;
  lb.id = 1;
  lb.addresses = {{Address::ipv4(0x0a000001), AddressKind::private_ip}};
  lb.groups = {1};
  node.load_balancers[1] = std::make_shared<const LoadBalancer>(lb);

  const std::vector<std::string> zones{""};
  Compiler compiler;
  const auto allows = [&](const char* remote) {
    const auto table = compiler.compile(node, zones, 1);
    EXPECT_TRUE(table);
    PacketKey key;
    key.policy = (*table)->find_lb(0, lb.addresses[0].address).policy;
    key.direction = Direction::inbound;
    key.protocol = kProtocolTcp;
    key.remote = *parse_address(remote);
    return (*table)->allows(key);
  };
  EXPECT_TRUE(allows("10.8.0.0"));
  EXPECT_TRUE(allows("10.8.255.255"));
  EXPECT_TRUE(allows("2001:db8:8:ffff::1"));
  EXPECT_FALSE(allows("10.9.0.0"));
  EXPECT_FALSE(allows("2001:db8:9::"));
  node.vpcs[5] = std::make_shared<const Vpc>(Vpc{5, "prod", {{Address::ipv4(0x0a090000), 16}}});
  EXPECT_FALSE(allows("10.8.0.0"));
  EXPECT_FALSE(allows("2001:db8:8:ffff::1"));
  EXPECT_TRUE(allows("10.9.0.0"));
}

}  // namespace
}  // namespace sluice::rules
