// SPDX-License-Identifier: Apache-2.0
//
// SEMANTICS §2: a rule that comes back with its id or with equal content keeps its identity.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "rules/validate.h"

namespace sluice::rules {
namespace {

struct Sent {
  RuleId id;           // 0: none
  std::uint16_t port;  // the content
};

Rule rule_of(const Sent& sent) {
  Rule rule;
  rule.id = sent.id;
  rule.protocol.kind = ProtocolKind::custom_tcp;
  rule.ports.ranges = {{sent.port, sent.port}};
  return rule;
}

Group group_of(const std::vector<Sent>& sent) {
  Group group;
  for (const Sent& one : sent) group.rules.push_back(rule_of(one));
  return group;
}

struct Update {
  const char* description;
  std::vector<Sent> before;
  std::vector<Sent> after;
  std::vector<RuleId> ids;  // new ids begin at 100
};

TEST(Identity, IsKeptOverFullReplacement) {
  const Update kCases[] = {
      {"unchanged, by id", {{10, 80}, {11, 443}}, {{10, 80}, {11, 443}}, {10, 11}},
      {"unchanged, by content", {{10, 80}, {11, 443}}, {{0, 80}, {0, 443}}, {10, 11}},
      {"another order", {{10, 80}, {11, 443}}, {{0, 443}, {0, 80}}, {11, 10}},
      {"new content under an id", {{10, 80}}, {{10, 8080}}, {10}},
      {"one more", {{10, 80}}, {{0, 80}, {0, 81}}, {10, 100}},
      {"one less", {{10, 80}, {11, 443}}, {{0, 443}}, {11}},
      {"all new", {{10, 80}}, {{0, 81}, {0, 82}}, {100, 101}},
      {"an id that is not there, by content", {{10, 80}}, {{99, 80}}, {10}},
      {"an id that is not there, nor its content", {{10, 80}}, {{99, 81}}, {100}},
      {"ids swapped", {{10, 80}, {11, 443}}, {{11, 80}, {10, 443}}, {11, 10}},
      {"an id counts before equal content", {{10, 80}}, {{0, 80}, {10, 443}}, {100, 10}},
      {"duplicates keep theirs each", {{10, 80}, {11, 80}}, {{0, 80}, {0, 80}}, {10, 11}},
      {"one of two duplicates", {{10, 80}, {11, 80}}, {{0, 80}}, {10}},
      {"a duplicate more", {{10, 80}}, {{0, 80}, {0, 80}}, {10, 100}},
      {"a duplicate whose twin is named", {{10, 80}, {11, 80}}, {{0, 80}, {10, 80}}, {11, 10}},
      {"one id twice", {{10, 80}}, {{10, 80}, {10, 80}, {0, 80}}, {10, 100, 101}},
      {"one id twice, the content of another",
       {{10, 80}, {11, 443}},
       {{10, 1}, {10, 443}},
       {10, 11}},
      {"of a group that is new", {}, {{10, 80}, {0, 81}}, {100, 101}},
  };
  for (const Update& update : kCases) {
    const Group before = group_of(update.before);
    Group after = group_of(update.after);
    RuleId next = 100;
    keep_identities(update.before.empty() ? nullptr : &before, after, next);
    std::vector<RuleId> ids;
    for (const Rule& rule : after.rules) ids.push_back(rule.id);
    EXPECT_EQ(ids, update.ids) << update.description;
    EXPECT_EQ(next, 100 + static_cast<RuleId>(std::count_if(ids.begin(), ids.end(),
                                                            [](RuleId id) { return id >= 100; })))
        << update.description;
  }
}

// Content is all that a rule allows; its description is not.
TEST(Identity, DependsOnEverythingThatARuleAllows) {
  Rule rule = rule_of({10, 80});
  rule.network = {NetworkType::manual, {Address::ipv4(1), Address::ipv4(2)}, 0};
  const std::pair<const char*, void (*)(Rule&)> kChanges[] = {
      {"direction", [](Rule& r) { r.direction = Direction::outbound; }},
      {"protocol", [](Rule& r) { r.protocol.kind = ProtocolKind::custom_udp; }},
      {"protocol number", [](Rule& r) { r.protocol.number = 9; }},
      {"ports",
       [](Rule& r) {
         r.ports.ranges.push_back({90, 91});
       }},
      {"ICMP type", [](Rule& r) { r.icmp_type = 0; }},
      {"ICMP code", [](Rule& r) { r.icmp_code = 0; }},
      {"network type", [](Rule& r) { r.network.type = NetworkType::any; }},
      {"First IP", [](Rule& r) { r.network.range.first = Address::ipv4(0); }},
      {"Size", [](Rule& r) { r.network.range.last = Address::ipv4(3); }},
      {"family", [](Rule& r) { r.network.range.first = Address::ipv6(0, 1); }},
      {"VPC", [](Rule& r) { r.network.vpc = 1; }},
  };
  Group before;
  before.rules = {rule};
  for (const auto& [what, change] : kChanges) {
    Group after = before;
    after.rules[0].id = 0;
    change(after.rules[0]);
    EXPECT_FALSE(after.rules[0].same_match(rule)) << what;
    RuleId next = 100;
    keep_identities(&before, after, next);
    EXPECT_EQ(after.rules[0].id, 100u) << what;
  }
  Group after = before;
  after.rules[0].id = 0;
  after.rules[0].description = "other words";
  RuleId next = 100;
  keep_identities(&before, after, next);
  EXPECT_EQ(after.rules[0].id, 10u);
}

TEST(Identity, IsUniqueAndKeptWhereverItCanBe) {
  std::mt19937 random(5);
  for (int round = 0; round < 500; ++round) {
    std::vector<Sent> before, after;
    for (RuleId id = 1; id <= random() % 12; ++id)
      before.push_back({id, static_cast<std::uint16_t>(random() % 4)});
    for (unsigned i = 0; i < random() % 12; ++i)
      after.push_back({random() % 3 == 0 ? static_cast<RuleId>(random() % 14) : 0,
                       static_cast<std::uint16_t>(random() % 4)});
    const Group old = group_of(before);
    Group next_group = group_of(after);
    RuleId next = 100;
    keep_identities(&old, next_group, next);
    std::set<RuleId> ids;
    std::map<std::uint16_t, int> lost,
        fresh;  // by port: identities nobody took, rules given new ones
    for (const Rule& rule : next_group.rules) {
      EXPECT_TRUE(ids.insert(rule.id).second) << "given twice: " << rule.id;
      if (rule.id >= 100) ++fresh[rule.ports.ranges[0].first];
    }
    for (const Sent& sent : before)
      if (!ids.contains(sent.id)) ++lost[sent.port];
    for (const auto& [port, count] : fresh)
      EXPECT_EQ(lost[port], 0) << "a new id beside a free one";
  }
}

// A hundred thousand equal rules are no attack.
TEST(Identity, OfManyDuplicatesTakesNoLonger) {
  Group before;
  before.rules.assign(100'000, rule_of({0, 80}));
  RuleId next = 1;
  keep_identities(nullptr, before, next);
  Group after = before;
  for (Rule& rule : after.rules) rule.id = 0;
  keep_identities(&before, after, next);
  EXPECT_EQ(after.rules, before.rules);
  EXPECT_EQ(next, 100'001u);
}

}  // namespace
}  // namespace sluice::rules
