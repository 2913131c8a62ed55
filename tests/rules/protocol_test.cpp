// SPDX-License-Identifier: Apache-2.0
//
// SEMANTICS §2, "Protocol names".
#include <gtest/gtest.h>
#include <netdb.h>

#include <algorithm>
#include <set>

#include "rules/iana_protocols.h"
#include "rules/validate.h"
#include "tests/rules/rule_json.h"

namespace sluice::rules {
namespace {

std::string in_case(std::string text, int (*change)(int)) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [change](char c) { return static_cast<char>(change(c)); });
  return text;
}

struct Named {
  const char* text;
  ProtocolKind kind;
  const char* printed;
};

TEST(Protocol, OfThePortalIsReadInAnyCase) {
  using enum ProtocolKind;
  for (const Named& named : {Named{"All", all, "All"},
                             {"All_TCP", all_tcp, "All_TCP"},
                             {"All_UDP", all_udp, "All_UDP"},
                             {"Custom_TCP", custom_tcp, "Custom_TCP"},
                             {"Custom_UDP", custom_udp, "Custom_UDP"},
                             {"ICMP", icmp, "ICMP"},
                             // Beyond the portal.
                             {"TCP", custom_tcp, "Custom_TCP"},
                             {"UDP", custom_udp, "Custom_UDP"},
                             {"ICMPv6", icmpv6, "ICMPv6"},
                             {"IPv6-ICMP", icmpv6, "ICMPv6"},
                             {"SCTP", sctp, "SCTP"}}) {
    const std::string text = named.text;
    for (const std::string& spelling :
         {text, in_case(text, std::tolower), in_case(text, std::toupper), "  " + text + "\t"}) {
      const auto protocol = parse_protocol(spelling);
      ASSERT_TRUE(protocol) << spelling;
      EXPECT_EQ(protocol->kind, named.kind) << spelling;
      EXPECT_EQ(to_string(*protocol), named.printed) << spelling;
    }
  }
}

TEST(Protocol, IsAnyNumberFromZeroTo255) {
  for (int number = 0; number < 256; ++number) {
    const auto protocol = parse_protocol(std::to_string(number));
    ASSERT_TRUE(protocol) << number;
    EXPECT_EQ(*parse_protocol(to_string(*protocol)), *protocol) << number;
    switch (number) {  // those with a meaning of their own take it
      case 6:
        EXPECT_EQ(protocol->kind, ProtocolKind::custom_tcp);
        break;
      case 17:
        EXPECT_EQ(protocol->kind, ProtocolKind::custom_udp);
        break;
      case 58:
        EXPECT_EQ(protocol->kind, ProtocolKind::icmpv6);
        break;
      case 132:
        EXPECT_EQ(protocol->kind, ProtocolKind::sctp);
        break;
      default:
        EXPECT_EQ(protocol->kind, ProtocolKind::number) << number;
        EXPECT_EQ(protocol->number, number);
    }
  }
  // The name ICMP is both families; 1 is IPv4's alone, and must not print as the name.
  EXPECT_EQ(to_string(*parse_protocol("1")), "1");
}

TEST(Protocol, IsAnyIanaNameInAnyCase) {
  std::set<std::string> seen;
  for (unsigned number = 0; number < 256; ++number) {
    const std::string name(iana_protocol_name(static_cast<std::uint8_t>(number)));
    if (name.empty()) continue;
    EXPECT_TRUE(seen.insert(in_case(name, std::tolower)).second) << name << " stands twice";
    for (const std::string& spelling :
         {name, in_case(name, std::tolower), in_case(name, std::toupper)}) {
      EXPECT_EQ(iana_protocol_number(spelling), number) << spelling;
      ASSERT_TRUE(parse_protocol(spelling)) << spelling;
      if (number != kProtocolIcmp) {
        EXPECT_EQ(*parse_protocol(spelling), *parse_protocol(std::to_string(number))) << spelling;
      }
    }
  }
  EXPECT_EQ(seen.size(), 143u);
  // Registered without a name, unassigned, experimental, reserved.
  for (const std::uint8_t number : {61, 63, 68, 99, 114, 148, 252, 253, 254, 255})
    EXPECT_EQ(iana_protocol_name(number), "") << int{number};
}

// Numbers as the registry has them, written down apart from the table under test.
TEST(Protocol, NamesMeanTheRegistrysNumbers) {
  const std::pair<const char*, int> kCases[] = {
      {"HOPOPT", 0},     {"IGMP", 2},
      {"IPv4", 4},       {"IP-in-IP", 4},
      {"EGP", 8},        {"DCCP", 33},
      {"XTP", 36},       {"TP++", 39},
      {"IPv6", 41},      {"IPv6-Route", 43},
      {"RSVP", 46},      {"GRE", 47},
      {"ESP", 50},       {"AH", 51},
      {"MOBILE", 55},    {"SKIP", 57},
      {"CFTP", 62},      {"KRYPTOLAN", 65},
      {"EIGRP", 88},     {"OSPFIGP", 89},
      {"OSPF", 89},      {"AX.25", 93},
      {"IPIP", 94},      {"ETHERIP", 97},
      {"PIM", 103},      {"A/N", 107},
      {"IPComp", 108},   {"VRRP", 112},
      {"PGM", 113},      {"L2TP", 115},
      {"PTP", 123},      {"ISIS", 124},
      {"FC", 133},       {"Mobility-Header", 135},
      {"UDPLite", 136},  {"manet", 138},
      {"HIP", 139},      {"Shim6", 140},
      {"WESP", 141},     {"ROHC", 142},
      {"Ethernet", 143}, {"AGGFRAG", 144},
      {"NSH", 145},      {"Homa", 146},
      {"BIT-EMU", 147},
  };
  for (const auto& [name, number] : kCases) {
    const auto protocol = parse_protocol(name);
    ASSERT_TRUE(protocol) << name;
    EXPECT_EQ(protocol->kind, ProtocolKind::number) << name;
    EXPECT_EQ(protocol->number, number) << name;
  }
}

// The names of this machine's /etc/protocols, where it has them, mean the same here.
TEST(Protocol, AgreesWithTheSystemsNames) {
  ::setprotoent(0);
  while (const protoent* entry = ::getprotoent()) {
    const std::string name = entry->p_name;
    // No registered names: a pseudo protocol, one that was renamed, one of the Linux kernel.
    if (name == "ip" || name == "rspf" || name == "mptcp") continue;
    const auto number = iana_protocol_number(name);
    ASSERT_TRUE(number) << name;
    // shim6 and those after it stand one too low in older files.
    if (entry->p_proto < 139) {
      EXPECT_EQ(int{*number}, entry->p_proto) << name;
    }
  }
  ::endprotoent();
}

TEST(Protocol, IsRefusedWithTheNamesThereAre) {
  for (const char* text : {"", " ", "256", "999", "1000", "-1", "+6", "tcpp", "6.0", "0x6", "6 7",
                           "Custom TCP", "All-TCP", "ip", "\xd9\xa6", "tcp\xc2\xa0"}) {
    const auto protocol = parse_protocol(text);
    ASSERT_FALSE(protocol) << text;
    EXPECT_NE(protocol.error().message.find("Custom_TCP"), std::string::npos)
        << protocol.error().message;
  }
  for (const char* text : {"06", "006", "00", "047"}) {
    ASSERT_FALSE(parse_protocol(text)) << text;
    EXPECT_NE(parse_protocol(text).error().message.find("leading zero"), std::string::npos);
  }
}

TEST(Protocol, OfARuleIsANameOrANumber) {
  for (const char* value : {R"("GRE")", R"("gre")", R"("47")", "47"}) {
    const auto group = group_with(std::string(R"("network":"any","protocol_name":)") + value);
    ASSERT_TRUE(group) << value << ": " << group.error().message;
    EXPECT_EQ(group->rules[1].protocol, (Protocol{ProtocolKind::number, 47})) << value;
    EXPECT_EQ(rule_to_json(group->rules[1])["protocol_name"], "GRE");
  }
  expect_refused({
      {"none", R"("network":"any")", "protocol_name", "missing"},
      {"null", R"("network":"any","protocol_name":null)", "protocol_name", "missing"},
      {"unknown", R"("network":"any","protocol_name":"TCPP")", "protocol_name", "\"TCPP\""},
      {"a list", R"("network":"any","protocol_name":["TCP"])", "protocol_name", "must be"},
      {"a fraction", R"("network":"any","protocol_name":6.5)", "protocol_name", "6.5"},
      {"too large", R"("network":"any","protocol_name":256)", "protocol_name", "\"256\""},
      {"negative", R"("network":"any","protocol_name":-6)", "protocol_name", "\"-6\""},
  });
}

}  // namespace
}  // namespace sluice::rules
