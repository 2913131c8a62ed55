// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "rules/json_parse.h"

namespace sluice::rules {
namespace {

struct Refused {
  const char* text;
  const char* reason;
  const char* where;  // line:column
};

TEST(JsonParse, RefusesWhatStrictnessForbidsAndSaysWhere) {
  const Refused kCases[] = {
      {R"({"a":1,"a":2})", "the key \"a\" stands twice", "1:8"},
      {R"({"a":{"b":1,"b":2}})", "\"b\" stands twice", "1:13"},
      {R"({"a":1,"\u0061":2})", "\"a\" stands twice", "1:8"},
      {R"({"\"":1,"\"":2})", "stands twice", "1:9"},
      {R"({"\\":1,"\\":2})", "stands twice", "1:9"},
      {"{\n\t\"a\": 1,\r\n  \"a\": 2}", "stands twice", "3:3"},
      {"[{\"a\":1},{\"a\":1,\n\"a\":1}]", "stands twice", "2:1"},
      {"{\"a\":1} x", "not valid JSON", "1:9"},
      {"{\"a\":}", "not valid JSON", "1:6"},
      {"", "not valid JSON", "1:1"},
      {"{\"a\":1", "not valid JSON", "1:7"},
      {"{\"a\":1\n", "not valid JSON", "2:1"},
      {"\"\xff\"", "not valid JSON", "1:2"},
      {"[1e400]", "not valid JSON", "1:6"},
      {"{'a':1}", "not valid JSON", "1:2"},
      {"[1,]", "not valid JSON", "1:4"},
      {"[01]", "not valid JSON", "1:3"},
      {"[1 2]", "not valid JSON", "1:4"},
      {"[NaN]", "not valid JSON", "1:2"},
      {"[1] // x", "not valid JSON", "1:5"},
      {"\"a\nb\"", "not valid JSON", "1:3"},
      {"[\"a\",\r\n \"b\",\r\n}", "not valid JSON", "3:1"},
  };
  for (const auto& [text, reason, where] : kCases) {
    const auto json = parse_json(text);
    ASSERT_FALSE(json) << text;
    EXPECT_NE(json.error().message.find(reason), std::string::npos) << json.error().message;
    ASSERT_EQ(json.error().problems.size(), 1u);
    EXPECT_EQ(json.error().problems[0].where, where) << text << ": " << json.error().message;
  }
}

TEST(JsonParse, BoundsTheDepth) {
  EXPECT_TRUE(parse_json(std::string(32, '[') + std::string(32, ']')));
  const auto deep = parse_json(std::string(33, '[') + std::string(33, ']'));
  ASSERT_FALSE(deep);
  EXPECT_EQ(deep.error().problems[0].where, "1:33");
  EXPECT_FALSE(parse_json(std::string(100'000, '[')));
  EXPECT_FALSE(parse_json("[" + std::string(32, '{')));
}

TEST(JsonParse, KeepsLargeIntegersExactly) {
  EXPECT_EQ((*parse_json("340282366920938463463374607431768211456")).get<std::string>(),
            "340282366920938463463374607431768211456");
  EXPECT_EQ((*parse_json("18446744073709551615")).dump(), "18446744073709551615");
  EXPECT_TRUE((*parse_json("1.5")).is_number_float());
}

TEST(JsonParse, PassesOverAByteOrderMark) {
  EXPECT_EQ(*parse_json("\xef\xbb\xbf{\"a\":1}"), *parse_json("{\"a\":1}"));
  EXPECT_EQ(parse_json("\xef\xbb\xbf[x]").error().problems[0].where, "1:2");
}

TEST(JsonParse, BoundsWhatItRepeats) {
  const auto json = parse_json("[\"" + std::string(1'000'000, 'x'));
  ASSERT_FALSE(json);
  EXPECT_LT(json.error().message.size(), 1000u);
  const std::string key(1'000'000, 'k');
  EXPECT_LT(parse_json("{\"" + key + "\":1,\"" + key + "\":1}").error().message.size(), 1000u);
}

}  // namespace
}  // namespace sluice::rules
