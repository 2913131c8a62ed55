// SPDX-License-Identifier: Apache-2.0
//
// One rule as an operator writes it, put into a group and read: what the tables of this folder try.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

#include "rules/json.h"

namespace sluice::rules {

// VPC 5, "prod": 10.8.0.0/16 and 2001:db8:8::/48.
inline Node node_with_vpc() {
  Node node;
  node.vpcs[5] = std::make_shared<const Vpc>(Vpc{
      5, "prod", {{Address::ipv4(0x0a080000), 16}, {Address::ipv6(0x20010db800080000, 0), 48}}});
  return node;
}

// A group of one outbound rule, rules[0], and the inbound rule under test, rules[1].
inline Result<Group> group_with(const std::string& inbound_fields) {
  const auto json = parse_json(R"({"name":"g","rules":[{"rule_type":"Outbound",
    "protocol_name":"All","network":"any"},{"rule_type":"Inbound",)" +
                               inbound_fields + "}]}");
  if (!json) return tl::unexpected(json.error());
  return group_from_json(*json, node_with_vpc());
}

inline bool names(const Error& error, std::string_view field, std::string_view reason) {
  for (const Problem& problem : error.problems)
    if (problem.where == field && problem.message.find(reason) != std::string::npos) return true;
  return false;
}

// A rule that must be refused, the field that must be named and part of the reason.
struct RefusedRule {
  const char* description;
  std::string fields;
  const char* field;
  const char* reason;
};

inline void expect_refused(std::initializer_list<RefusedRule> cases) {
  for (const RefusedRule& refused : cases) {
    const auto group = group_with(refused.fields);
    ASSERT_FALSE(group) << refused.description;
    EXPECT_EQ(group.error().code, ErrorCode::invalid);
    EXPECT_TRUE(names(group.error(), std::string("rules[1].") + refused.field, refused.reason))
        << refused.description << ": " << group.error().message;
    EXPECT_EQ(group.error().problems.size(), 1u)
        << refused.description << " is one problem: " << group.error().message;
  }
}

}  // namespace sluice::rules
