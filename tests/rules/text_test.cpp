// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <random>

#include "rules/validate.h"

namespace sluice::rules {
namespace {

TEST(Ports, PrintCanonically) {
  const std::pair<const char*, const char*> kCases[] = {
      {"All", "All"},
      {"all", "All"},
      {"0-65535", "All"},
      {"443", "443"},
      {"80-443", "80-443"},
      {"8000:9000", "8000-9000"},
      {"22,80,90:110", "22,80,90-110"},
      {" 80 - 443 , 22 ", "22,80-443"},
      {"90-110,80,22", "22,80,90-110"},
      {"80,81,82", "80-82"},
      {"1-10,5-20", "1-20"},
      {"0", "0"},
      {"65535", "65535"},
      {"0-1,2-65535", "All"},
      {"80,80", "80"},
  };
  for (const auto& [text, canonical] : kCases) {
    const auto ports = parse_ports(text);
    ASSERT_TRUE(ports) << text << ": " << ports.error().message;
    EXPECT_EQ(to_string(*ports), canonical) << text;
    EXPECT_EQ(*parse_ports(to_string(*ports)), *ports) << text;
  }
}

TEST(Ports, AreRefusedWithTheReason) {
  const std::pair<const char*, const char*> kCases[] = {
      {"443-80", "first port is greater than last"},
      {"65536", "65535"},
      {"", "missing"},
      {"80,,90", "missing"},
      {"80,", "missing"},
      {"http", "not a port"},
      {"-80", "not a port"},
      {"80-", "not a port"},
      {"80-90-100", "not a port"},
      {"8 0", "not a port"},
      {"99999999999999999999", "not a port"},
      {"1.5", "not a port"},
  };
  for (const auto& [text, reason] : kCases) {
    const auto ports = parse_ports(text);
    ASSERT_FALSE(ports) << text;
    EXPECT_NE(ports.error().message.find(reason), std::string::npos) << ports.error().message;
  }
}

TEST(Ports, TakeSixtyFourItemsAndNoMore) {
  std::string text = "0";
  for (int i = 1; i < 64; ++i) text += "," + std::to_string(i * 10);
  EXPECT_TRUE(parse_ports(text));
  EXPECT_FALSE(parse_ports(text + ",700"));
}

TEST(Ports, MergeAsASetOfNumbersWould) {
  std::mt19937 random(7);
  for (int round = 0; round < 500; ++round) {
    std::vector<bool> set(65536);
    std::string text;
    for (unsigned i = 0; i < 1 + random() % 10; ++i) {
      const unsigned first = random() % 300, last = first + random() % 40;
      for (unsigned port = first; port <= last; ++port) set[port] = true;
      text += (i ? "," : "") + std::to_string(first) + ":" + std::to_string(last);
    }
    const auto ports = parse_ports(text);
    ASSERT_TRUE(ports);
    std::vector<bool> got(65536);
    for (const PortRange& range : ports->ranges)
      for (unsigned port = range.first; port <= range.last; ++port) got[port] = true;
    EXPECT_EQ(got, set) << text;
    for (std::size_t i = 1; i < ports->ranges.size(); ++i)
      EXPECT_GT(ports->ranges[i].first, ports->ranges[i - 1].last + 1) << text;
  }
}

TEST(Protocol, IsNamedInAnyCaseAndByNumber) {
  const std::pair<const char*, const char*> kCases[] = {
      {"all", "All"},
      {"ALL_TCP", "All_TCP"},
      {"custom_udp", "Custom_UDP"},
      {"TCP", "Custom_TCP"},
      {"udp", "Custom_UDP"},
      {"ICMP", "ICMP"},
      {"icmpv6", "ICMPv6"},
      {"SCTP", "SCTP"},
      {"esp", "ESP"},
      {"GRE", "GRE"},
      {"47", "GRE"},
      {"6", "Custom_TCP"},
      {"17", "Custom_UDP"},
      {"132", "SCTP"},
      {"58", "ICMPv6"},
      {"IPv6-ICMP", "ICMPv6"},
      {"1", "1"},
      {"0", "HOPOPT"},
      {"255", "255"},
      {"ospf", "OSPFIGP"},
      {"VRRP", "VRRP"},
  };
  for (const auto& [text, printed] : kCases) {
    const auto protocol = parse_protocol(text);
    ASSERT_TRUE(protocol) << text;
    EXPECT_EQ(to_string(*protocol), printed) << text;
    EXPECT_EQ(*parse_protocol(to_string(*protocol)), *protocol) << text;
  }
  for (const char* text : {"", "256", "-1", "tcpp", "6.0", "0x6"})
    EXPECT_FALSE(parse_protocol(text)) << text;
  for (int number = 0; number < 256; ++number) {
    const auto protocol = parse_protocol(std::to_string(number));
    ASSERT_TRUE(protocol) << number;
    EXPECT_EQ(*parse_protocol(to_string(*protocol)), *protocol) << number;
  }
}

TEST(Name, IsTrimmedAndLimited) {
  EXPECT_EQ(*parse_name("  web_1-a  "), "web_1-a");
  EXPECT_TRUE(parse_name(std::string(50, 'a')));
  for (const std::string& text : {std::string(51, 'a'), std::string(""), std::string("   "),
                                  std::string("a b"), std::string("a.b"), std::string("\xc3\xa9")})
    EXPECT_FALSE(parse_name(text)) << text;
}

TEST(Status, IsPrintedAsThePortalDoes) {
  EXPECT_EQ(to_string(*parse_status("backend connection failure")), "Backend Connection Failure");
  EXPECT_EQ(to_string(*parse_status("RUNNING")), "Running");
  EXPECT_FALSE(parse_status("Walking"));
}

Rule with_port(RuleId id, std::uint16_t port) {
  Rule rule;
  rule.id = id;
  rule.protocol.kind = ProtocolKind::custom_tcp;
  rule.ports.ranges = {{port, port}};
  return rule;
}

TEST(Identity, IsKeptByIdAndByContent) {
  Group before;
  before.rules = {with_port(10, 80), with_port(11, 443), with_port(12, 22)};
  Group after;
  after.rules = {with_port(0, 443),    // equal content
                 with_port(12, 2222),  // its id, with new content
                 with_port(0, 8080),   // new
                 with_port(99, 80)};   // an id that is not there: by content
  RuleId next = 100;
  keep_identities(&before, after, next);
  EXPECT_EQ(after.rules[0].id, 11u);
  EXPECT_EQ(after.rules[1].id, 12u);
  EXPECT_EQ(after.rules[2].id, 100u);
  EXPECT_EQ(after.rules[3].id, 10u);
  EXPECT_EQ(next, 101u);
}

TEST(Identity, IsNeverGivenTwice) {
  Group before;
  before.rules = {with_port(10, 80)};
  Group after;
  after.rules = {with_port(10, 80), with_port(10, 80), with_port(0, 80)};
  RuleId next = 50;
  keep_identities(&before, after, next);
  EXPECT_EQ(after.rules[0].id, 10u);
  EXPECT_EQ(after.rules[1].id, 50u);
  EXPECT_EQ(after.rules[2].id, 51u);
}

}  // namespace
}  // namespace sluice::rules
