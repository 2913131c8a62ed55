// SPDX-License-Identifier: Apache-2.0
//
// Where in a file a problem stands, and how it is shown: SEMANTICS §2, "names the field".
#include <gtest/gtest.h>

#include "rules/json_place.h"

namespace sluice::rules {
namespace {

std::string place_of(const std::string& text, const std::string& where) {
  const auto placed = place(text, {{where, "why"}});
  return std::to_string(placed[0].at.line) + ":" + std::to_string(placed[0].at.column);
}

// The line and the caret of a diagnostic.
std::string shown(const std::string& text, const std::string& where) {
  const std::string whole = diagnostic("f", place(text, {{where, "why"}})[0]);
  return whole.substr(whole.find('\n') + 1);
}

TEST(Place, IsWhereTheValueBegins) {
  struct Case {
    const char* description;
    std::string text;
    const char* where;
    const char* place;
  };
  const std::string rules =
      "{\n \"rules\": [ {\"x\":\"a,]\\\"}\"},\n  {\"port_range\": \"80\"} ]\n}";
  for (const auto& [description, text, where, expected] : {
           Case{"a member", rules, "rules[1].port_range", "3:18"},
           {"an element", rules, "rules[1]", "3:3"},
           {"a list", rules, "rules", "2:11"},
           {"the whole", rules, "", "1:1"},
           {"a member that is missing: its object", rules, "rules[1].network", "3:3"},
           {"an element that is missing: its list", rules, "rules[7]", "2:11"},
           {"nothing of it: the whole", rules, "groups[1].rules[2].x", "1:1"},
           {"a list at the top", "[1,\n 2]", "[1]", "2:2"},
           {"blanks before the first value", " \n\n  {\"a\":1}", "a", "3:8"},
           {"CRLF", "{\r\n\"a\": 1,\r\n\"b\": 2\r\n}", "b", "3:6"},
           {"tabs count one each", "{\n\t\t\"a\":\t1}", "a", "2:8"},
           {"bytes, not characters", "{\"é\":0,\"a\":1}", "a", "1:13"},
           {"a byte order mark counts nothing", "\xef\xbb\xbf{\"a\":1}", "a", "1:6"},
           {"an escaped key", R"({"\u0061\n":1})", "a\n", "1:13"},
           {"a key with dots", R"({"a":{"b.c":[1,2]}})", "a.b.c[1]", "1:16"},
           {"a key with brackets", R"({"a[0]":7,"b":[1]})", "a[0]", "1:9"},
           {"an empty key", R"({"a":{"":7}})", "a.", "1:10"},
           {"values of every kind before it",
            R"([null,true,-1.5e3,"\\",[],{},[[{}]],{"a":[{}]},9])", "[8]", "1:48"},
           {"a place of the syntax", "{\n \"a\": tru\n}", "2:9", "2:9"},
           {"a place of the syntax past the end", "{", "9:9", "1:2"},
       })
    EXPECT_EQ(place_of(text, where), expected) << description;
}

TEST(Place, OrdersProblemsAsTheyStandInTheText) {
  const std::string text = "{\"b\": 1,\n \"a\": [10,\n 20], \"c\": 3}";
  const auto placed =
      place(text, {{"c", "1"}, {"a[1]", "2"}, {"b", "3"}, {"a", "4"}, {"a", "5"}, {"", "6"}});
  std::string order;
  for (const PlacedProblem& problem : placed) order += problem.problem.message;
  EXPECT_EQ(order, "634521");
  EXPECT_EQ(placed[4].at.line, 3u);
  EXPECT_EQ(placed[4].line, " 20], \"c\": 3}");
}

TEST(Diagnostic, ShowsTheLineAndACaret) {
  const std::string text = "{\n  \"port\": \"x\"\n}";
  EXPECT_EQ(diagnostic("rules.json", place(text, {{"port", "not a port"}})[0]),
            "rules.json:2:11: error: port: not a port\n    \"port\": \"x\"\n            ^\n");
}

TEST(Diagnostic, PointsWhereTheEyeLooks) {
  EXPECT_EQ(shown("{\t\"a\":\t1}", "a"), "  { \"a\": 1}\n         ^\n") << "a tab is one column";
  EXPECT_EQ(shown("{\"é\":0,\"a\":1}", "a"), "  {\"é\":0,\"a\":1}\n             ^\n");
  EXPECT_EQ(shown("{\"日本\":0,\"a\":1}", "a"), "  {\"日本\":0,\"a\":1}\n                ^\n")
      << "wide characters take two columns";
  EXPECT_EQ(shown("{\"e\xcc\x81\":0,\"a\":1}", "a"),
            "  {\"e\xcc\x81\":0,\"a\":1}\n             ^\n")
      << "a combining mark takes none";
  EXPECT_EQ(shown("{\r\n\"a\":1,\r\n\"b\":2\r\n}", "b"), "  \"b\":2\n      ^\n") << "CRLF";
  EXPECT_EQ(shown("", "1:1"), "  \n  ^\n");
}

TEST(Diagnostic, ShowsNothingThatATerminalObeys) {
  EXPECT_EQ(shown("{\"\x1b[2J\":0,\"a\":1}", "1:3"), "  {\" [2J\":0,\"a\":1}\n    ^\n");
  EXPECT_EQ(shown("{\"\xe2\x80\xae\":0}", "1:1"), "  {\" \":0}\n  ^\n") << "right-to-left override";
  EXPECT_EQ(shown("\"\xff\xfe\"", "1:2"), "  \"??\"\n   ^\n") << "no UTF-8";
  const std::string text = diagnostic("f", place("{}", {{"a\x1b[31m", "bad \x07"}})[0]);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(text.find('\x07'), std::string::npos);
}

TEST(Diagnostic, ShowsThePartOfALongLineAroundTheCaret) {
  std::string text = "{\"long\":\"";
  for (int i = 0; i < 50'000; ++i) text += "é";
  text += "\",\"a\":1,\"more\":\"";
  for (int i = 0; i < 50'000; ++i) text += "ü";
  text += "\"}";
  const std::string out = shown(text, "a");
  EXPECT_LT(out.size(), 400u);
  const std::string line = out.substr(2, out.find('\n') - 2);
  EXPECT_TRUE(line.starts_with("…é")) << line;
  EXPECT_TRUE(line.ends_with("ü…")) << line;
  // The caret stands under the value.
  std::size_t columns = out.rfind('^') - out.find('\n') - 3;
  std::size_t at = 0;
  for (; columns > 0; --columns) do
      ++at;
    while ((line[at] & 0xc0) == 0x80);
  EXPECT_EQ(line.substr(at, 2), "1,") << out;
  // At the beginning nothing is cut before it.
  EXPECT_TRUE(shown(text, "long").starts_with("  {\"long\":\"é"));
}

// One walk, however many problems: this took minutes when each began at the start of the text.
TEST(Place, TakesManyProblemsOfAnyLine) {
  for (const char* separator : {",", ",\n"}) {
    std::string text = "[";
    std::vector<Problem> problems;
    for (int i = 0; i < 100'000; ++i) {
      text += (i == 0 ? "" : separator) + std::string(R"({"port_range": "x"})");
      problems.push_back({"[" + std::to_string(99'999 - i) + "].port_range", "why"});
    }
    text += "]";
    const auto placed = place(text, problems);
    EXPECT_EQ(placed.front().problem.where, "[0].port_range");
    EXPECT_EQ(placed.back().problem.where, "[99999].port_range");
    EXPECT_EQ(placed.back().at.line, separator[1] == '\n' ? 100'000u : 1u);
    EXPECT_LT(diagnostic("f", placed.back()).size(), 400u);
  }
}

}  // namespace
}  // namespace sluice::rules
