// SPDX-License-Identifier: Apache-2.0
#include "control/publisher.h"

#include <gtest/gtest.h>

#include "tests/control/publisher_bed.h"

namespace sluice::control {
namespace {

using rules::Json;
using rules::Result;

Publisher::Change create(const std::string& name) {
  return [name](const State& state) {
    return create_group(state, *rules::parse_json(R"({"name":")" + name + R"(","rules":[
      {"rule_type":"Inbound","protocol_name":"All","network":"any"},
      {"rule_type":"Outbound","protocol_name":"All","network":"any"}]})"));
  };
}

TEST(Publisher, EnforcesTheFirstStateBeforeItTakesChanges) {
  Bed bed;
  EXPECT_EQ(bed.plane.generation(), 1u);
  EXPECT_EQ(bed.store.stored->generation, 1u);
}

TEST(Publisher, AcknowledgesWhatIsStoredAndInForce) {
  Bed bed;
  const auto applied = bed.change(create("a"));
  ASSERT_TRUE(applied);
  EXPECT_EQ(applied->generation, 2u);
  EXPECT_EQ(bed.plane.generation(), 2u);
  EXPECT_EQ(bed.store.stored->node.groups.size(), 3u);
  EXPECT_EQ(bed.publisher.state()->node.groups.size(), 3u);
}

TEST(Publisher, ChangesNothingWhereTheStoreRefusesAndWorksOnAfterwards) {
  Bed bed;
  const StatePtr before = bed.publisher.state();
  bed.store.fails = true;
  const auto refused = bed.change(create("a"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, rules::ErrorCode::storage);
  EXPECT_EQ(bed.publisher.state(), before);
  EXPECT_EQ(bed.plane.generation(), 1u);
  bed.store.fails = false;
  EXPECT_TRUE(bed.change(create("a")));
}

TEST(Publisher, TakesBackWhatAWorkerDidNotTake) {
  Bed bed;
  const StatePtr before = bed.publisher.state();
  bed.plane.hangs = true;
  ASSERT_FALSE(bed.change(create("a")));
  EXPECT_EQ(bed.publisher.state(), before);
  EXPECT_EQ(bed.store.stored->generation, 1u);
  EXPECT_EQ(bed.plane.generation(), 1u);
  bed.plane.hangs = false;
  EXPECT_TRUE(bed.change(create("a")));
  // Some worker may have judged flows by generation 2.
  EXPECT_EQ(bed.plane.generation(), 3u);
}

// A worker does not take the table, and the disk not what takes the change back: nothing is made of
// what stands on the disk until it is what is in force.
TEST(Publisher, TakesBackBeforeTheNextChangeWhatItCouldNotTakeBackAtOnce) {
  Bed bed;
  bed.plane.hangs = true;
  bed.store.fails_after = 1;
  ASSERT_FALSE(bed.change(create("a")));
  EXPECT_EQ(bed.store.stored->generation, 2u);
  const auto refused = bed.change(create("b"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, rules::ErrorCode::storage);
  bed.plane.hangs = false;
  bed.store.fails_after = -1;
  ASSERT_TRUE(bed.change(create("b")));
  EXPECT_EQ(bed.store.stored->node.groups.size(), 3u);
  EXPECT_EQ(bed.store.stored->node.groups.at(3)->name, "b");
}

TEST(Publisher, TakesBackByItselfWhatItCouldNotTakeBackAtOnce) {
  Bed bed;
  bed.plane.hangs = true;
  bed.store.fails_after = 1;
  ASSERT_FALSE(bed.change(create("a")));
  EXPECT_EQ(bed.store.stored->generation, 2u);
  bed.store.fails_after = -1;
  bed.publisher.stop();
  EXPECT_EQ(bed.store.stored->generation, 1u);
}

TEST(Publisher, TakesBackWhatTheDataPlaneHadNoMemoryFor) {
  Bed bed;
  bed.plane.throws = true;
  const auto refused = bed.change(create("a"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, rules::ErrorCode::capacity);
  EXPECT_EQ(bed.store.stored->generation, 1u);
  EXPECT_EQ(bed.plane.generation(), 1u);
  bed.plane.throws = false;
  EXPECT_TRUE(bed.change(create("a")));
}

TEST(Publisher, SurvivesAChangeThatThrows) {
  Bed bed;
  const auto refused =
      bed.change([](const State&) -> Result<Outcome> { throw std::runtime_error("boom"); });
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("boom"), std::string::npos);
  EXPECT_TRUE(bed.change(create("a")));
}

TEST(Publisher, SerialisesChangesOfManyThreads) {
  Bed bed;
  std::vector<std::thread> clients;
  std::atomic<int> accepted{0};
  for (int client = 0; client < 8; ++client) {
    clients.emplace_back([&, client] {
      for (int i = 0; i < 25; ++i)
        accepted +=
            bed.change(create("g" + std::to_string(client) + "-" + std::to_string(i))).has_value();
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(accepted, 200);
  EXPECT_EQ(bed.publisher.state()->node.groups.size(), 202u);
  EXPECT_EQ(bed.plane.generation(), bed.publisher.state()->generation);
  EXPECT_LE(bed.plane.generation(), 201u);  // those that waited together share one
}

TEST(Publisher, RefusesWhatComesAfterTheStop) {
  Bed bed;
  bed.publisher.stop();
  const auto refused = bed.change(create("a"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, rules::ErrorCode::unavailable);
}

}  // namespace
}  // namespace sluice::control
