// SPDX-License-Identifier: Apache-2.0
//
// SEMANTICS §2: ICMP types and codes.
#include <gtest/gtest.h>

#include "tests/rules/rule_json.h"

namespace sluice::rules {
namespace {

std::string with(const char* protocol, const char* fields) {
  return std::string(R"("network":"any","protocol_name":")") + protocol + "\"" + fields;
}

TEST(Icmp, TakesTypeAndCodeAsNumberOrDigits) {
  struct Good {
    const char* fields;
    std::optional<std::uint8_t> type;
    std::optional<std::uint8_t> code;
  };
  for (const char* protocol : {"ICMP", "ICMPv6", "58"}) {
    for (const Good& good : {Good{"", {}, {}},
                             {R"(,"icmp_type":null,"icmp_code":null)", {}, {}},
                             {R"(,"icmp_type":8)", 8, {}},
                             {R"(,"icmp_type":0)", 0, {}},
                             {R"(,"icmp_type":"8","icmp_code":"0")", 8, 0},
                             {R"(,"icmp_type":3,"icmp_code":4)", 3, 4},
                             {R"(,"icmp_type":255,"icmp_code":255)", 255, 255}}) {
      const auto group = group_with(with(protocol, good.fields));
      ASSERT_TRUE(group) << protocol << good.fields << ": " << group.error().message;
      EXPECT_EQ(group->rules[1].icmp_type, good.type) << good.fields;
      EXPECT_EQ(group->rules[1].icmp_code, good.code) << good.fields;
      const Json json = rule_to_json(group->rules[1]);
      EXPECT_EQ(json["icmp_type"], good.type ? Json(*good.type) : Json());
      EXPECT_EQ(json["icmp_code"], good.code ? Json(*good.code) : Json());
    }
  }
}

TEST(Icmp, RefusesTypesThatAreNone) {
  for (const char* value :
       {"256", "-1", "1.5", "\"x\"", "\"\"", "true", "[8]", "\"08\"", "99999999999999999999"}) {
    expect_refused(
        {{value, with("ICMP", R"(,"icmp_type":)") + value, "icmp_type", "must be"},
         {value, with("ICMP", R"(,"icmp_type":8,"icmp_code":)") + value, "icmp_code", "must be"}});
  }
}

TEST(Icmp, RefusesACodeWithoutItsType) {
  expect_refused({{"ICMP", with("ICMP", R"(,"icmp_code":0)"), "icmp_code", "needs its icmp_type"},
                  {"ICMPv6", with("ICMPv6", R"(,"icmp_code":0)"), "icmp_code", "icmp_type"}});
}

TEST(Icmp, RefusesTypesOfOtherProtocols) {
  for (const char* protocol : {"All", "All_TCP", "TCP", "UDP", "SCTP", "GRE", "1", "0"}) {
    expect_refused(
        {{protocol, with(protocol, R"(,"icmp_type":8)"), "icmp_type", "use ICMP or ICMPv6"},
         {protocol, with(protocol, R"(,"icmp_type":8,"icmp_code":0)"), "icmp_type",
          "no ICMP types"},
         {protocol, with(protocol, R"(,"icmp_code":0)"), "icmp_code", "no ICMP types"}});
  }
}

}  // namespace
}  // namespace sluice::rules
