// SPDX-License-Identifier: Apache-2.0
//
// The configured files: what reading them again changes, and that a problem in any changes nothing.
#include "control/reload.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/control/publisher_bed.h"
#include "tests/control/temporary_folder.h"

namespace sluice::control {
namespace {

using rules::Json;

class Reload : public testing::Test {
 protected:
  tests::TemporaryFolder folder;
  Bed bed;
  std::unique_ptr<Reloader> reloader;

  void start(bool with_rules, bool with_system) {
    reloader = std::make_unique<Reloader>(
        bed.publisher, ReloadFiles{with_rules ? folder.file("rules.json") : "",
                                   with_system ? folder.file("system.json") : ""});
  }
  void write(const char* name, const std::string& text) const {
    std::ofstream(folder.file(name)) << text;
  }
  [[nodiscard]] std::uint64_t generation() const { return bed.publisher.state()->generation; }
  [[nodiscard]] Json problems() const { return bed.publisher.last_reload()["problems"]; }
};

std::string document(const char* port) {
  return std::string(R"({"security_groups":[{"name":"a","rules":[
{"rule_type":"Inbound","protocol_name":"TCP","network":"any","port_range":")") +
         port + R"("},
{"rule_type":"Outbound","protocol_name":"All","network":"any"}]}]})";
}
const char* const kMonitoring =
    R"([{"rule_type":"Inbound","protocol_name":"TCP","port_range":"9101","network":"any"}])";

TEST_F(Reload, MakesTheNodeWhatTheFileSays) {
  start(true, false);
  write("rules.json", document("80"));
  EXPECT_TRUE(reloader->reload());
  EXPECT_EQ(generation(), 2u);
  EXPECT_EQ(bed.publisher.state()->node.groups.at(3)->name, "a");
  Json report = bed.publisher.last_reload();
  EXPECT_EQ(report["plan"].size(), 1u);
  EXPECT_EQ(report["count"], 1u);
  // The same file again is no generation.
  EXPECT_TRUE(reloader->reload());
  EXPECT_EQ(generation(), 2u);
  EXPECT_EQ(bed.publisher.last_reload()["count"], 2u);
  EXPECT_TRUE(bed.publisher.last_reload()["plan"].empty());
}

TEST_F(Reload, RefusesTheWholeAndSaysWhereTheProblemsStand) {
  start(true, true);
  write("rules.json", document("9-8"));
  write("system.json", R"([{"rule_type":"Inbound"}])");
  EXPECT_FALSE(reloader->reload());
  EXPECT_EQ(generation(), 1u);
  // Reading the system rules comes first; the document's own problems need a state.
  ASSERT_EQ(problems().size(), 2u) << problems();
  EXPECT_EQ(
      problems()[0].get<std::string>(),
      folder.file("system.json") + ":1:2: [0].protocol_name: missing: All, Custom_TCP, ICMP, …");
  write("system.json", kMonitoring);
  EXPECT_FALSE(reloader->reload());
  ASSERT_EQ(problems().size(), 1u) << problems();
  EXPECT_EQ(problems()[0].get<std::string>(),
            folder.file("rules.json") +
                ":2:75: security_groups[0].rules[0].port_range: \"9-8\": "
                "first port is greater than last");
  EXPECT_EQ(bed.publisher.state()->node.system_rules, nullptr) << "all or nothing";
  EXPECT_FALSE(bed.publisher.last_reload()["ok"].get<bool>());
  EXPECT_EQ(generation(), 1u);
}

TEST_F(Reload, NamesAFileThatCannotBeRead) {
  start(true, true);
  write("rules.json", "{");
  EXPECT_FALSE(reloader->reload());
  ASSERT_EQ(problems().size(), 2u) << problems();
  EXPECT_EQ(problems()[0].get<std::string>(),
            folder.file("system.json") + ": cannot be read, or is empty");
  EXPECT_TRUE(problems()[1].get<std::string>().starts_with(folder.file("rules.json") +
                                                           ":1:2: not valid JSON"))
      << problems();
}

TEST_F(Reload, BringsBothFilesIntoForceInOneGeneration) {
  start(true, true);
  write("rules.json", document("80"));
  write("system.json", kMonitoring);
  EXPECT_TRUE(reloader->reload());
  EXPECT_EQ(generation(), 2u);
  EXPECT_NE(bed.publisher.state()->node.system_rules, nullptr);
  EXPECT_NE(bed.plane.current()->table->system(), nullptr);
  EXPECT_TRUE(reloader->reload());
  EXPECT_EQ(generation(), 2u);
  write("system.json", "[]");
  EXPECT_TRUE(reloader->reload());
  EXPECT_EQ(generation(), 3u);
  EXPECT_TRUE(bed.publisher.last_reload()["system_rules_changed"].get<bool>());
}

TEST_F(Reload, SystemRulesOutliveOtherChangesAndAreNotStored) {
  start(false, true);
  write("system.json", kMonitoring);
  EXPECT_TRUE(reloader->reload());
  EXPECT_TRUE(bed.change([](const State& state) { return mark_default(state, 2); }));
  EXPECT_NE(bed.plane.current()->table->system(), nullptr);
  const auto refused = bed.change([](const State& state) {
    return create_group(state, *rules::parse_json(R"({"name":"system","rules":[
      {"rule_type":"Inbound","protocol_name":"All","network":"any"},
      {"rule_type":"Outbound","protocol_name":"All","network":"any"}]})"));
  });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().problems[0].where, "name");
  EXPECT_FALSE(find_group(*bed.publisher.state(), rules::kSystemGroupId));
}

}  // namespace
}  // namespace sluice::control
