// SPDX-License-Identifier: Apache-2.0
//
// Every scenario file through the production pipeline.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "control/cli/node_settings.h"
#include "dataplane/trace.h"
#include "rules/compile.h"
#include "rules/node_json.h"
#include "rules/system_rules.h"
#include "tests/scenarios/scenario.h"
#include "tests/scenarios/worker_replays.h"

namespace sluice::tests {
namespace {

using dataplane::Verdict;
using dataplane::offline::Input;
using rules::Json;

std::vector<std::string> files() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(SLUICE_SCENARIOS))
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

Json read_file(const std::string& name) {
  std::ifstream file(std::string(SLUICE_SCENARIOS) + "/" + name + ".json");
  std::ostringstream text;
  text << file.rdbuf();
  auto json = rules::parse_json(text.str());
  EXPECT_TRUE(json) << name << ": " << (json ? "" : json.error().message);
  return json ? *json : Json::object();
}

dataplane::FlowsOnChange flows_of(const Json& step) {
  const std::string text = step.value("flows", "cut");
  if (text == "cut") return {};
  if (text == "keep") return {dataplane::FlowFate::keep, 0};
  return {dataplane::FlowFate::drain,
          static_cast<std::uint32_t>(std::stoul(text.substr(text.find(':') + 1)))};
}

constexpr int kVlan = 7;

// The same scenario on a tagged zone. Null: it speaks of tags or of offsets in the frame itself.
Json tagged(Json scenario) {
  const auto tag_node = [](Json& node) {
    const Json& lbs = node["load_balancers"];
    node["settings"]["zones"] =
        Json::array({{{"name", lbs.empty() ? "" : lbs[0].value("zone", "")}, {"vlan", kVlan}}});
  };
  if (scenario["node"].value("settings", Json::object()).contains("zones")) return nullptr;
  tag_node(scenario["node"]);
  for (Json& step : scenario["steps"]) {
    if (step.contains("publish")) {
      tag_node(step["publish"]);
      continue;
    }
    if (step.contains("idle_until_ms")) continue;
    for (const char* name : {"vlan", "patch", "cut", "ethertype"})
      if (step.contains(name)) return nullptr;
    if (step["packet"] == "raw" || step["packet"].get<std::string>().starts_with("arp"))
      return nullptr;
    step["vlan"] = kVlan;
  }
  return scenario;
}

class Scenario : public testing::TestWithParam<std::string> {
 protected:
  void publish(const Json& document, const Json& step = Json::object()) {
    auto node = rules::node_from_json(document);
    ASSERT_TRUE(node) << node.error().message;
    node_ = std::move(node->node);
    auto settings = control::cli::settings_from_json(node->settings, node_);
    ASSERT_TRUE(settings) << settings.error().message;
    node_.system_rules = settings->system_rules;
    auto table = compiler_.compile(node_, settings->zones, ++generation_);
    ASSERT_TRUE(table) << table.error().message;
    if (!replay_) {
      replay_ = std::make_unique<WorkerReplays>(workers_, by_rss_, settings->flows_max);
      replay_->set_zone(0, dataplane::kNoZone);
      for (std::size_t i = 0; i < settings->vlans.size(); ++i)
        replay_->set_zone(settings->vlans[i], static_cast<std::uint16_t>(i));
    }
    snapshot_ = std::make_shared<const dataplane::Snapshot>(
        dataplane::Snapshot{std::move(*table), settings->plane, flows_of(step)});
    const auto fates = replay_->publish(snapshot_);
    const Json seen{{"cut", fates.cut}, {"kept", fates.kept}, {"draining", fates.draining}};
    EXPECT_EQ(step.value("fates", seen), seen);
  }

  void judge(const Json& step, const std::string& where) {
    Input input;
    input.time_ns = step.value("at_ms", last_ms_) * 1'000'000;
    last_ms_ = input.time_ns / 1'000'000;
    input.side = step.at("from") == "outside" ? dataplane::Side::outside : dataplane::Side::inside;
    input.bytes = conversations_.frame_of(step);
    const Verdict verdict = replay_->judge(input);
    if (verdict.passes()) conversations_.advance();
    held_.push_back(step.value("then", "never held"));
    EXPECT_EQ(text_of(verdict), step.at("expect").get<std::string>())
        << where << ": " << step.dump();
    if (step.contains("lb")) {
      EXPECT_EQ(node_.load_balancers.at(verdict.lb)->name, step["lb"]) << where;
    }
    if (step.contains("group")) {
      EXPECT_EQ(rules::group_name(node_, verdict.rule.group), step["group"]) << where;
    }
    EXPECT_EQ(verdict.generation, generation_) << where;
    if (step.contains("nearest")) {
      EXPECT_EQ(nearest_of(input), step["nearest"].get<std::string>()) << where;
    }
  }

  // What of the rule that comes nearest the packet fails; of nodes with one zone.
  std::string nearest_of(const Input& input) const {
    const auto view = dataplane::rules_view(
        *snapshot_, input.bytes, static_cast<std::uint32_t>(input.bytes.size()), input.side, 0);
    if (!view) return "not asked";
    const auto explanation = dataplane::explain(*snapshot_->table, *view);
    if (!explanation.nearest) return "none";
    return explanation.nearest->found.group().name + ": " +
           rules::describe_miss(*explanation.nearest, view->key);
  }

  static std::string text_of(const Verdict& verdict) {
    if (verdict.is_held) return "held";
    return verdict.passes() ? "pass " + std::string(to_string(verdict.flow))
                            : "drop " + std::string(to_string(verdict.reason));
  }

  // The frames disposed of now: so many, in order, each as its own step foretold.
  void check_released(std::size_t count, const std::string& where) {
    const auto released = replay_->take_released();
    EXPECT_EQ(released.size(), count) << where;
    for (std::size_t i = 0; i < released.size(); ++i) {
      EXPECT_EQ(text_of(released[i].verdict), held_.at(released[i].number)) << where;
      if (i > 0) {
        EXPECT_LT(released[i - 1].number, released[i].number) << where;
      }
      held_[released[i].number] = "released once already";
    }
    const dataplane::Counts counts = replay_->counts();
    EXPECT_EQ(counts.received, counts.passed + counts.dropped_total());
    EXPECT_EQ(counts.received + counts.fragments_held, held_.size()) << where;
  }

  void run(const Json& scenario) {
    ASSERT_NO_FATAL_FAILURE(publish(scenario.at("node")));
    std::size_t number = 0;
    for (const Json& step : scenario.at("steps")) {
      ++number;
      const std::string where = GetParam() + " step " + std::to_string(number);
      if (step.contains("publish")) {
        ASSERT_NO_FATAL_FAILURE(publish(step["publish"], step));
      } else if (step.contains("idle_until_ms")) {
        last_ms_ = step["idle_until_ms"].get<std::uint64_t>();
        replay_->pass_time(last_ms_ * 1'000'000);
      } else {
        judge(step, where);
      }
      check_released(step.value("releases", std::size_t{0}), where);
    }
    replay_->finish();
    check_released(scenario.value("held_at_the_end", std::size_t{0}), GetParam() + " at the end");
    EXPECT_EQ(replay_->counts().fragments_held, 0u);
  }

  void start_again(unsigned workers, bool by_rss) {
    workers_ = workers;
    by_rss_ = by_rss;
    replay_ = nullptr;
    conversations_ = {};
    generation_ = 0;
    last_ms_ = 0;
    held_.clear();
  }

  Conversations conversations_;
  rules::Node node_;
  rules::Compiler compiler_;
  unsigned workers_ = 1;
  bool by_rss_ = false;
  std::unique_ptr<WorkerReplays> replay_;
  std::shared_ptr<const dataplane::Snapshot> snapshot_;
  std::uint64_t generation_ = 0;
  std::uint64_t last_ms_ = 0;
  std::vector<std::string> held_;  // by packet: what is to become of it, if it is held
};

TEST_P(Scenario, HasTheVerdictsItSays) {
  run(read_file(GetParam()));
}

TEST_P(Scenario, HasThemWithATagToo) {
  const Json scenario = tagged(read_file(GetParam()));
  if (scenario.is_null()) GTEST_SKIP() << "speaks of tags or of the frame itself";
  run(scenario);
}

// A worker's tables are its own: with several, each flow, datagram and quoted flow must be found
// where it was opened. Scenarios about the size of one table say that they are of one worker.
TEST_P(Scenario, HasThemWithSeveralWorkersToo) {
  const Json scenario = read_file(GetParam());
  if (scenario.value("workers", 0) == 1) GTEST_SKIP() << "is about one worker's table";
  for (const unsigned workers : {2u, 3u}) {
    for (const bool by_rss : {false, true}) {
      SCOPED_TRACE(std::to_string(workers) + (by_rss ? " workers by RSS" : " workers"));
      start_again(workers, by_rss);
      ASSERT_NO_FATAL_FAILURE(run(scenario));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Files, Scenario, testing::ValuesIn(files()),
                         [](const auto& file) { return file.param; });

// A reason nobody shows is a reason nobody knows to be right.
TEST(Scenarios, ShowEveryDropReasonThatAPacketAloneCanMeet) {
  std::set<std::string> shown;
  for (const std::string& name : files())
    for (const Json& step : read_file(name).value("steps", Json::array()))
      for (const char* when : {"expect", "then"}) shown.insert(step.value(when, ""));
  // no_table: before the first publish; the other two need ports and workers. Tested there.
  const std::set<std::string> elsewhere{"none", "no_table", "handover_full", "transmit_full"};
  for (const auto& reason : dataplane::kDropReasonTexts) {
    const std::string name(reason.name);
    if (elsewhere.contains(name)) continue;
    EXPECT_TRUE(shown.contains("drop " + name)) << name;
  }
}

}  // namespace
}  // namespace sluice::tests
