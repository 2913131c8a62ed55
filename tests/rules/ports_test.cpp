// SPDX-License-Identifier: Apache-2.0
//
// SEMANTICS §2, "Port range".
#include <gtest/gtest.h>

#include <random>

#include "rules/validate.h"
#include "tests/rules/rule_json.h"

namespace sluice::rules {
namespace {

TEST(Ports, AreReadInEverySpellingAndPrintedInOne) {
  const std::pair<const char*, const char*> kCases[] = {
      {"All", "All"},
      {"all", "All"},
      {" ALL ", "All"},
      {"0-65535", "All"},
      {"0:65535", "All"},
      {"443", "443"},
      {"80-443", "80-443"},
      {"8000:9000", "8000-9000"},
      {"22,80,90:110", "22,80,90-110"},
      {" 80 - 443 , 22 ", "22,80-443"},
      {"\t80\t:\t443", "80-443"},
      {"90-110,80,22", "22,80,90-110"},
      {"80,81,82", "80-82"},
      {"80-81,82-90", "80-90"},
      {"1-10,5-20", "1-20"},
      {"1-100,20-30", "1-100"},
      {"5-5", "5"},
      {"0", "0"},
      {"65535", "65535"},
      {"65534,65535", "65534-65535"},
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
      {"443-80", "\"443-80\": first port is greater than last"},
      {"1:0", "first port is greater than last"},
      {"65536", "65536 is greater than 65535"},
      {"1-65536", "65536 is greater than 65535"},
      {"99999999999999999999", "greater than 65535"},
      {"", "missing"},
      {"  ", "missing"},
      {"80,,90", "missing"},
      {"80,", "missing"},
      {",80", "missing"},
      {"http", "\"http\" is not a port"},
      {"-80", "not a port"},
      {"80-", "not a port"},
      {"-", "not a port"},
      {"80-90-100", "not a port"},
      {"80:90:100", "not a port"},
      {"80--90", "not a port"},
      {"8 0", "not a port"},
      {"80;90", "not a port"},
      {"80 90", "not a port"},
      {"+80", "not a port"},
      {"0x50", "not a port"},
      {"1.5", "not a port"},
      {"All,80", "not a port"},
      {"*", "not a port"},
      {"any", "not a port"},
      {"\xd9\xa8\xd9\xa0", "not a port"},          // Arabic-Indic digits
      {"\xef\xbc\x98\xef\xbc\x90", "not a port"},  // full-width digits
      {"0080", "leading zero"},
      {"00", "leading zero"},
      {"80-0443", "leading zero"},
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
  const auto refused = parse_ports(text + ",700");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("more than 64 items"), std::string::npos);
  // Items are counted as they are written, not as they merge.
  EXPECT_FALSE(parse_ports(text + ",0"));
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

TEST(Ports, OfARuleMayBeANumberAndAreAllWhereNoneAreGiven) {
  const std::pair<const char*, const char*> kCases[] = {
      {R"("port_range":443,)", "443"},
      {R"("port_range":"443",)", "443"},
      {R"("port_range":"All",)", "All"},
      {R"("port_range":null,)", "All"},
      {"", "All"},
  };
  for (const auto& [field, printed] : kCases) {
    const auto group = group_with(std::string(field) + R"("protocol_name":"TCP","network":"any")");
    ASSERT_TRUE(group) << field << ": " << group.error().message;
    EXPECT_EQ(rule_to_json(group->rules[1])["port_range"], printed) << field;
  }
  expect_refused({
      {"a list", R"("protocol_name":"TCP","network":"any","port_range":[80])", "port_range",
       "must be"},
      {"a fraction", R"("protocol_name":"TCP","network":"any","port_range":80.5)", "port_range",
       "80.5"},
      {"a wrong order", R"("protocol_name":"TCP","network":"any","port_range":"443-80")",
       "port_range", "\"443-80\": first port is greater than last"},
      {"beside an unknown protocol, where it is wrong by itself",
       R"("protocol_name":"TCP","network":"any","port_range":"x")", "port_range", "not a port"},
  });
}

TEST(Ports, GoWithProtocolsThatHaveThem) {
  for (const char* protocol : {"TCP", "UDP", "Custom_TCP", "Custom_UDP", "SCTP", "6", "17", "132"})
    EXPECT_TRUE(group_with(std::string(R"("port_range":"80","network":"any","protocol_name":")") +
                           protocol + "\""))
        << protocol;
  for (const char* protocol : {"All", "All_TCP", "All_UDP", "ICMP", "ICMPv6", "GRE", "ESP", "1",
                               "0", "255", "DCCP", "UDPLite"}) {
    const std::string fields =
        std::string(R"("network":"any","protocol_name":")") + protocol + "\"";
    expect_refused({{protocol, fields + R"(,"port_range":"80")", "port_range", "takes no ports"}});
    for (const char* all : {R"(,"port_range":"All")", R"(,"port_range":"0-65535")", ""})
      EXPECT_TRUE(group_with(fields + all)) << protocol << all;
  }
}

}  // namespace
}  // namespace sluice::rules
