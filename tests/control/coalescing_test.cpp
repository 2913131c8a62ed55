// SPDX-License-Identifier: Apache-2.0
//
// Changes that wait together become one generation, and each gets its own answer.
#include <gtest/gtest.h>

#include "tests/control/publisher_bed.h"

namespace sluice::control {
namespace {

using rules::Json;
using rules::Result;

Change create(const std::string& name) {
  return [name](const State& state) {
    return create_group(state, *rules::parse_json(R"({"name":")" + name + R"(","rules":[
      {"rule_type":"Inbound","protocol_name":"All","network":"any"},
      {"rule_type":"Outbound","protocol_name":"All","network":"any"}]})"));
  };
}

// Holds the publisher while changes gather.
class Coalescing : public testing::Test {
 protected:
  Bed bed;
  std::promise<void> gate_;
  std::vector<std::future<Result<Applied>>> answers;

  void hold() {
    std::promise<void> reached;
    bed.publisher.with_store([&, gate = gate_.get_future().share()](Store*) {
      reached.set_value();
      gate.wait();
    });
    reached.get_future().wait();
  }
  void submit(ChangeRequest request) {
    auto answer = std::make_shared<std::promise<Result<Applied>>>();
    answers.push_back(answer->get_future());
    bed.publisher.submit(std::move(request), [answer](Result<Applied> applied) {
      answer->set_value(std::move(applied));
    });
  }
  void submit(Change change) { submit(ChangeRequest{std::move(change)}); }
  std::vector<Result<Applied>> release() {
    gate_.set_value();
    std::vector<Result<Applied>> results;
    for (auto& answer : answers) results.push_back(answer.get());
    return results;
  }
};

TEST_F(Coalescing, MakesOneGenerationOfWhatWaitsTogether) {
  hold();
  const int commits = bed.store.commits;
  for (int i = 0; i < 10; ++i) submit(create("g" + std::to_string(i)));
  const auto results = release();
  for (std::size_t i = 0; i < results.size(); ++i) {
    ASSERT_TRUE(results[i]);
    EXPECT_EQ(results[i]->generation, 2u);
    EXPECT_EQ(results[i]->changes, 10u);
    EXPECT_EQ(results[i]->answer["id"], 3 + i);
  }
  EXPECT_EQ(bed.store.commits, commits + 1);
  EXPECT_EQ(bed.plane.generation(), 2u);
}

TEST_F(Coalescing, JudgesEachByWhatTheOneBeforeItMade) {
  hold();
  submit(create("a"));
  submit(create("a"));  // taken by now
  submit([](const State& state) { return delete_group(state, 3); });
  submit(create("a"));  // free again
  const auto results = release();
  EXPECT_TRUE(results[0]);
  ASSERT_FALSE(results[1]);
  EXPECT_EQ(results[1].error().code, rules::ErrorCode::conflict);
  EXPECT_TRUE(results[2]);
  ASSERT_TRUE(results[3]);
  EXPECT_EQ(results[3]->answer["id"], 4);
  EXPECT_EQ(results[3]->generation, 2u);
  const StatePtr state = bed.publisher.state();
  EXPECT_TRUE(state->node.groups.contains(4));
  EXPECT_FALSE(state->node.groups.contains(3));
}

TEST_F(Coalescing, TriesEachByItselfWhereTheirSumIsRefused) {
  hold();
  submit(create("a"));
  // Passes every check but the compiler's: a group that does not exist.
  submit([](const State& state) -> Result<Outcome> {
    Outcome outcome{state, {}};
    rules::LoadBalancer lb;
    lb.id = 7;
    lb.groups = {99};
    outcome.next.node.load_balancers[7] = std::make_shared<const rules::LoadBalancer>(lb);
    return outcome;
  });
  submit(create("b"));
  const auto results = release();
  EXPECT_TRUE(results[0]);
  EXPECT_FALSE(results[1]);
  EXPECT_TRUE(results[2]);
  EXPECT_NE(results[0]->generation, results[2]->generation);
  EXPECT_EQ(bed.publisher.state()->node.groups.size(), 4u);
}

TEST_F(Coalescing, DoesNotMixFatesOfFlows) {
  hold();
  const auto with_flows = [&](const std::string& name, dataplane::FlowsOnChange flows) {
    ChangeRequest request{create(name)};
    request.options.flows = flows;
    submit(std::move(request));
  };
  with_flows("a", {});
  with_flows("b", {});
  with_flows("c", {dataplane::FlowFate::keep, 0});
  with_flows("d", {});
  const auto results = release();
  EXPECT_EQ(results[0]->generation, 2u);
  EXPECT_EQ(results[1]->generation, 2u);
  EXPECT_EQ(results[2]->generation, 3u);
  EXPECT_EQ(results[2]->flows.kept, 7u);
  EXPECT_EQ(results[3]->generation, 4u);
}

TEST_F(Coalescing, JudgesIfMatchByTheGenerationInForce) {
  hold();
  const auto if_match = [&](const std::string& name, const std::string& generation) {
    ChangeRequest request{create(name)};
    request.if_match = generation;
    submit(std::move(request));
  };
  if_match("a", "\"1\"");
  submit(create("b"));
  if_match("c", "\"1\"");  // b and a came between
  if_match("d", "2");
  if_match("e", "2");  // d came between
  const auto results = release();
  ASSERT_TRUE(results[0]);
  EXPECT_EQ(results[0]->generation, 2u);
  EXPECT_EQ(results[1]->generation, 2u);
  ASSERT_FALSE(results[2]);
  EXPECT_EQ(results[2].error().message, kStale);
  ASSERT_TRUE(results[3]);
  EXPECT_EQ(results[3]->generation, 3u);
  EXPECT_FALSE(results[4]);
}

TEST_F(Coalescing, RefusesAllWhereTheStoreRefuses) {
  hold();
  for (int i = 0; i < 3; ++i) submit(create("g" + std::to_string(i)));
  bed.store.fails = true;
  for (const auto& result : release()) EXPECT_FALSE(result);
  EXPECT_EQ(bed.plane.generation(), 1u);
  bed.store.fails = false;
}

TEST_F(Coalescing, RecordsWhoChangedWhatAndWhatWasRefused) {
  hold();
  for (const char* name : {"a", "a"}) {
    ChangeRequest request{create(name)};
    request.source = {"token deploy", "request", "POST", "/security_group", "{…}"};
    submit(std::move(request));
  }
  release();
  bed.publisher.stop();
  ASSERT_EQ(bed.store.audit.size(), 2u);
  const AuditEntry& done = bed.store.audit[0];
  EXPECT_EQ(done.actor, "token deploy");
  EXPECT_EQ(done.result, "done");
  EXPECT_EQ(done.touched, std::vector<std::string>{"security group 3"});
  EXPECT_EQ(done.generation_before, 1u);
  EXPECT_EQ(done.generation_after, 2u);
  const AuditEntry& refused = bed.store.audit[1];
  EXPECT_EQ(refused.result, "conflict");
  EXPECT_NE(refused.message, "");
  EXPECT_EQ(refused.generation_after, 1u);
}

}  // namespace
}  // namespace sluice::control
