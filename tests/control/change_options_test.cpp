// SPDX-License-Identifier: Apache-2.0
//
// Dry runs, attachments that expire and changes that must be confirmed, through the publisher.
#include <gtest/gtest.h>

#include <thread>

#include "control/store_sqlite.h"
#include "control/undo.h"
#include "tests/control/publisher_bed.h"
#include "tests/control/temporary_folder.h"

namespace sluice::control {
namespace {

using rules::Json;
using rules::Result;

Json group_body(const std::string& name, const std::string& ports = "80") {
  return *rules::parse_json(R"({"name":")" + name + R"(","rules":[
      {"rule_type":"Inbound","protocol_name":"TCP","port_range":")" +
                            ports + R"(","network":"any"},
      {"rule_type":"Outbound","protocol_name":"TCP","port_range":"8080","network":"manual",
       "network_cidr":"10.9.0.0/16"}]})");
}

ChangeRequest with(Change change, const char* options) {
  ChangeRequest request{std::move(change)};
  request.options = read_change_options(*rules::parse_json(options), request.problems);
  request.source = {"uid 7", "request", "POST", "/test", options};
  return request;
}

Change attach_groups(rules::LbId lb, std::vector<int> groups) {
  return [lb, groups](const State& state) {
    return attach(state, lb, {{"security_group_ids", groups}});
  };
}
Change detach_groups(rules::LbId lb, std::vector<int> groups) {
  return [lb, groups](const State& state) {
    return detach(state, lb, {{"security_group_ids", groups}});
  };
}
Change create(const std::string& name, const std::string& ports = "80") {
  return [=](const State& state) { return create_group(state, group_body(name, ports)); };
}
Change update(rules::GroupId id, const std::string& name, const std::string& ports) {
  return [=](const State& state) { return update_group(state, id, group_body(name, ports)); };
}
Change remove_group(rules::GroupId id) {
  return [=](const State& state) { return delete_group(state, id); };
}
Change confirm(ChangeId id) {
  return [=](const State& state) { return confirm_change(state, id); };
}
Change roll_back(ChangeId id) {
  return [=](const State& state) { return roll_back_change(state, id); };
}

// A node with two LBs, of groups 1 (default), 3 (a) and 4 (b), and a clock that stands still.
class Changes : public testing::Test {
 protected:
  std::atomic<UnixMs> now{1'000'000};
  MemoryStore store;
  tests::FakeDataplane plane;
  std::unique_ptr<Publisher> publisher;

  void SetUp() override {
    start();
    ok(create("a", "81,443"));
    ok(create("b", "82"));
    for (const char* name : {"web", "mail"})
      ok([name](const State& state) {
        const std::vector<std::string> zones{"edge", "second"};
        const bool is_web = std::string_view(name) == "web";
        return register_lb(
            state,
            {{"lb_name", name},
             {"status", "Running"},
             {"addresses", {is_web ? "10.0.0.1" : "10.0.0.2"}},
             {"lb_port", "81"},
             {"tcp_backend",
              Json::array({{{"port", "82"},
                            {"servers", Json::array({{{"backend_name", "s1"},
                                                      {"backend_ip", "10.9.0.7"},
                                                      {"backend_port", "8080"}}})}}})},
             {"security_group_id", {3, 1}}},
            zones);
      });
  }
  void TearDown() override { publisher.reset(); }

  void start() {
    publisher = std::make_unique<Publisher>(store, plane, dataplane::Settings{},
                                            [this] { return now.load(); });
    ASSERT_TRUE(publisher->start());
  }
  Result<Applied> submit(ChangeRequest request) {
    std::promise<Result<Applied>> answer;
    publisher->submit(std::move(request),
                      [&](Result<Applied> applied) { answer.set_value(std::move(applied)); });
    return answer.get_future().get();
  }
  Applied ok(Change change, const char* options = "{}") {
    const auto applied = submit(with(std::move(change), options));
    EXPECT_TRUE(applied) << (applied ? "" : applied.error().message);
    return applied.value_or(Applied{});
  }
  std::string refused(Change change, const char* options = "{}") {
    const StatePtr before = publisher->state();
    const auto applied = submit(with(std::move(change), options));
    EXPECT_FALSE(applied);
    EXPECT_EQ(publisher->state(), before);
    if (applied) return "";
    std::string text = applied.error().message;
    for (const auto& problem : applied.error().problems)
      text += "\n" + problem.where + ": " + problem.message;
    return text;
  }
  [[nodiscard]] std::vector<rules::GroupId> groups_of(rules::LbId lb) const {
    return publisher->state()->node.load_balancers.at(lb)->groups;
  }
  // Until the node has done by itself what became due.
  void wait_until(const std::function<bool()>& is_so) {
    for (int i = 0; i < 500 && !is_so(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_TRUE(is_so());
  }
};

using Ids = std::vector<rules::GroupId>;

TEST_F(Changes, DryRunsTellWhatWouldChangeAndChangeNothing) {
  const StatePtr before = publisher->state();
  const int commits = store.commits;
  const Applied attach = ok(attach_groups(1, {4}), R"({"dry_run":true})");
  EXPECT_TRUE(attach.is_dry_run);
  EXPECT_EQ(attach.generation, before->generation);
  EXPECT_EQ(attach.flows.cut, 7u);
  EXPECT_EQ(attach.answer["rules"]["begin_total"], 2) << attach.answer.dump(1);
  EXPECT_EQ(attach.answer["rules"]["cease_total"], 0);
  EXPECT_EQ(attach.answer["rules"]["begin"][0]["load_balancer"], 1);
  EXPECT_EQ(attach.answer["rules"]["begin"][0]["direction"], "Inbound");
  EXPECT_EQ(attach.answer["rules"]["begin"][0]["rule"]["port_range"], "82");
  EXPECT_EQ(attach.answer["security_group_ids"], Json::array({4}));
  EXPECT_EQ(attach.answer["unreachable"]["listeners"], Json::array());

  // Group 3 loses its port 81 and, by a group without the network, 10.9.0.7:8080 stays reachable
  // by the default group's rule for all.
  const Applied edit = ok(update(3, "a", "443"), R"({"dry_run":true,"flows":"keep"})");
  EXPECT_EQ(edit.flows.kept, 7u);
  EXPECT_EQ(edit.answer["rules"]["begin_total"], 2);  // on two LBs
  EXPECT_EQ(edit.answer["rules"]["cease_total"], 2);
  ASSERT_EQ(edit.answer["unreachable"]["listeners"].size(), 2u);
  EXPECT_EQ(edit.answer["unreachable"]["listeners"][0]["port"], 81);
  EXPECT_EQ(edit.answer["unreachable"]["listeners"][0]["reached_by"], "nobody");
  EXPECT_EQ(edit.answer["unreachable"]["backends"], Json::array());

  const Applied out = ok(detach_groups(2, {1}), R"({"dry_run":true})");
  EXPECT_EQ(out.answer["unreachable"]["backends"], Json::array());
  EXPECT_NE(refused(attach_groups(1, {99}), R"({"dry_run":true})"), "");
  EXPECT_EQ(publisher->state(), before);
  EXPECT_EQ(plane.generation(), before->generation);
  EXPECT_EQ(store.commits, commits);
  // What was only tried is not in the compiler's way.
  ok(attach_groups(1, {4}));
}

TEST_F(Changes, DryRunsTellOfBackendsThatWouldNotBeReached) {
  ok(detach_groups(2, {1}));
  ok([](const State& state) {
    Json body = group_body("a", "81,443");
    body["rules"][1]["network_cidr"] = "10.9.0.0/24";
    return update_group(state, 3, body);
  });
  const Applied edit = ok(
      [](const State& state) {
        Json body = group_body("a", "81,443");
        body["rules"][1]["network_cidr"] = "10.9.1.0/24";
        return update_group(state, 3, body);
      },
      R"({"dry_run":true})");
  const Json& backends = edit.answer["unreachable"]["backends"];
  ASSERT_EQ(backends.size(), 1u) << edit.answer.dump(1);  // LB 1 reaches all by the default group
  EXPECT_EQ(backends[0]["load_balancer"], 2);
  EXPECT_EQ(backends[0]["backend_ip"], "10.9.0.7");
  EXPECT_EQ(backends[0]["backend_port"], 8080);
}

TEST_F(Changes, EndAnAttachmentWhenItsTimeIsUp) {
  const Applied attached = ok(attach_groups(1, {4}), R"({"expires_in":60})");
  EXPECT_EQ(attached.answer["expires_at"], utc_text(now + 60'000));
  EXPECT_EQ(groups_of(1), (Ids{3, 1, 4}));
  now += 59'999;
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_EQ(groups_of(1), (Ids{3, 1, 4}));
  now += 1;
  wait_until([&] { return groups_of(1) == Ids{3, 1}; });
  EXPECT_TRUE(publisher->state()->expiries.empty());
  publisher->stop();
  EXPECT_EQ(store.audit.back().cause, "expiry");
  EXPECT_EQ(store.audit.back().actor, "sluiced");
  EXPECT_EQ(store.audit.back().result, "done");
}

TEST_F(Changes, EndAnAttachmentAtTheStartIfItsTimeCameWhileTheNodeWasDown) {
  ok(attach_groups(1, {4}), R"({"expires_in":60})");
  ok(attach_groups(2, {4}), R"({"expires_in":600})");
  publisher.reset();
  now += 100'000;
  start();
  EXPECT_EQ(groups_of(1), (Ids{3, 1}));
  EXPECT_EQ(groups_of(2), (Ids{3, 1, 4}));
  EXPECT_EQ(store.stored->generation, publisher->state()->generation);
  now += 600'000;
  wait_until([&] { return groups_of(2) == Ids{3, 1}; });
}

// While its detachment waited for a confirmation that never came, its own time was over.
TEST_F(Changes, BringNothingBackWhoseTimeIsOver) {
  for (const bool is_down : {true, false}) {
    ok(attach_groups(1, {4}), R"({"expires_in":60})");
    ok(detach_groups(1, {4}), R"({"confirm_within":30})");
    const std::uint64_t generation = publisher->state()->generation;
    if (is_down) publisher.reset();
    now += 60'000;
    if (is_down) start();
    wait_until([&] { return publisher->state()->pending.empty(); });
    EXPECT_EQ(groups_of(1), (Ids{3, 1})) << is_down;
    EXPECT_EQ(publisher->state()->generation, generation + 1);
  }
}

TEST_F(Changes, EndAllAttachmentsAtTheStartHoweverMany) {
  constexpr rules::GroupId kMore = kChangesPerGeneration + 10;
  for (rules::GroupId i = 0; i < kMore; ++i) ok(create("more-" + std::to_string(i)));
  for (rules::GroupId i = 0; i < kMore; ++i)
    ok(attach_groups(1, {static_cast<int>(5 + i)}), R"({"expires_in":60})");
  const std::uint64_t generation = publisher->state()->generation;
  publisher.reset();
  now += 60'000;
  start();
  EXPECT_EQ(groups_of(1), (Ids{3, 1}));
  EXPECT_EQ(publisher->state()->generation, generation + 1);
}

TEST_F(Changes, ForgetTheEndOfAnAttachmentThatWasTakenAway) {
  ok(attach_groups(1, {4}), R"({"expires_in":60})");
  ok(detach_groups(1, {4}));
  EXPECT_TRUE(publisher->state()->expiries.empty());
  ok(attach_groups(1, {4}));
  ok(attach_groups(2, {4}), R"({"expires_in":60})");
  ok([](const State& state) { return delete_lb(state, 2); });
  EXPECT_TRUE(publisher->state()->expiries.empty());
  now += 60'000;
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_EQ(groups_of(1), (Ids{3, 1, 4}));
}

TEST_F(Changes, TryAgainWhatCouldNotBeStoredWhenItWasDue) {
  ok(attach_groups(1, {4}), R"({"expires_in":1})");
  store.fails = true;
  now += 1000;
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_EQ(groups_of(1), (Ids{3, 1, 4}));
  store.fails = false;
  wait_until([&] { return groups_of(1) == Ids{3, 1}; });
}

TEST_F(Changes, RefuseOptionsOutOfBoundsWithAllElseThatIsWrong) {
  EXPECT_NE(refused(attach_groups(1, {4}), R"({"expires_in":0})").find("from 1 to 31536000"),
            std::string::npos);
  EXPECT_NE(refused(detach_groups(1, {1}), R"({"expires_in":5})").find("expires_in"),
            std::string::npos);
  const std::string both =
      refused(attach_groups(1, {99}), R"({"confirm_within":86401,"flows":"x"})");
  EXPECT_NE(both.find("confirm_within: must be a number of seconds from 1 to 86400"),
            std::string::npos)
      << both;
  EXPECT_NE(both.find("flows: "), std::string::npos) << both;
  EXPECT_NE(both.find("there is no security group 99"), std::string::npos) << both;
  EXPECT_NE(refused(attach_groups(1, {4}), R"({"expires_in":5,"confirm_within":5})")
                .find("must be more than confirm_within"),
            std::string::npos);
  EXPECT_NE(refused(attach_groups(1, {4}), R"({"dry_run":"perhaps"})").find("dry_run"),
            std::string::npos);
}

TEST_F(Changes, RollBackByThemselvesUnlessConfirmed) {
  const Applied attached = ok(attach_groups(1, {4}), R"({"confirm_within":30})");
  const auto id = attached.answer["change_id"].get<ChangeId>();
  EXPECT_EQ(attached.answer["confirm_by"], utc_text(now + 30'000));
  const Applied detached = ok(detach_groups(2, {1}), R"({"confirm_within":30})");
  ok(confirm(id));
  EXPECT_NE(refused(confirm(id)).find("no change"), std::string::npos);
  now += 30'000;
  wait_until([&] { return groups_of(2) == Ids{3, 1}; });
  EXPECT_EQ(groups_of(1), (Ids{3, 1, 4}));
  EXPECT_TRUE(publisher->state()->pending.empty());
  publisher->stop();
  EXPECT_EQ(store.audit.back().cause, "rollback");
  EXPECT_EQ(store.audit.back().change, detached.answer["change_id"].get<ChangeId>());
}

TEST_F(Changes, RollBackAtTheStartIfTheirTimeCameWhileTheNodeWasDown) {
  ok(update(3, "renamed", "22"), R"({"confirm_within":30})");
  publisher.reset();
  now += 31'000;
  start();
  EXPECT_EQ(publisher->state()->node.groups.at(3)->name, "a");
  EXPECT_TRUE(publisher->state()->pending.empty());
}

TEST_F(Changes, RollBackExactlyWhatTheyTouched) {
  const auto rules_before = publisher->state()->node.groups.at(3)->rules;
  const auto id = ok(update(3, "renamed", "22"), R"({"confirm_within":30})")
                      .answer["change_id"]
                      .get<ChangeId>();
  ok(attach_groups(1, {4}));  // between, of something else
  ok([](const State& state) {
    return set_status(state, 1, {{"status", "Backend Connection Failure"}});
  });
  ok(roll_back(id));
  EXPECT_EQ(publisher->state()->node.groups.at(3)->rules, rules_before);
  EXPECT_EQ(groups_of(1), (Ids{3, 1, 4}));
  EXPECT_EQ(publisher->state()->node.load_balancers.at(1)->status,
            rules::LbStatus::backend_connection_failure);
}

TEST_F(Changes, KeepOthersOffWhatAwaitsConfirmation) {
  const auto id = ok(update(3, "renamed", "22"), R"({"confirm_within":30})")
                      .answer["change_id"]
                      .get<ChangeId>();
  const std::string same = refused(update(3, "again", "23"));
  EXPECT_NE(same.find("change 1"), std::string::npos) << same;
  EXPECT_NE(same.find("security group 3"), std::string::npos) << same;
  EXPECT_NE(same.find("roll it back first"), std::string::npos) << same;
  // The name it gave up is still wanted.
  EXPECT_NE(refused(create("a")).find("could not be rolled back"), std::string::npos);
  ok(confirm(id));
  ok(create("a"));
}

TEST_F(Changes, KeepTheGroupOfADetachThatAwaitsConfirmation) {
  ok(attach_groups(1, {4}));
  const auto id =
      ok(detach_groups(1, {4}), R"({"confirm_within":30})").answer["change_id"].get<ChangeId>();
  EXPECT_NE(refused(remove_group(4)).find("security group 4 is gone"), std::string::npos);
  EXPECT_NE(refused(attach_groups(1, {4})).find("attachment of group 4"), std::string::npos);
  ok(attach_groups(2, {4}));
  ok(roll_back(id));
  EXPECT_EQ(groups_of(1), (Ids{3, 1, 4}));
}

TEST_F(Changes, KeepANewGroupUnusedUntilItIsConfirmed) {
  const auto id = ok(create("c"), R"({"confirm_within":30})").answer["change_id"].get<ChangeId>();
  EXPECT_NE(refused(attach_groups(1, {5})).find("it is attached to load balancer 1"),
            std::string::npos);
  ok(roll_back(id));
  EXPECT_FALSE(publisher->state()->node.groups.contains(5));
}

TEST_F(Changes, BringBackADeletedLoadBalancerWithItsAttachmentsAndTheirEnds) {
  ok(attach_groups(1, {4}), R"({"expires_in":500})");
  const auto lb = publisher->state()->node.load_balancers.at(1);
  const auto id =
      ok([](const State& state) { return delete_lb(state, 1); }, R"({"confirm_within":30})")
          .answer["change_id"]
          .get<ChangeId>();
  EXPECT_NE(refused([](const State& state) {
              return register_lb(state, {{"lb_name", "thief"}, {"addresses", {"10.0.0.1"}}},
                                 std::vector<std::string>{"edge"});
            }).find("10.0.0.1"),
            std::string::npos);
  ok(roll_back(id));
  EXPECT_EQ(*publisher->state()->node.load_balancers.at(1), *lb);
  EXPECT_EQ(publisher->state()->expiries.at({1, 4}), now + 500'000);
}

TEST_F(Changes, SurviveTheStoreWithTheirWayBack) {
  const tests::TemporaryFolder folder;
  State before = *publisher->state();
  State after = *publisher->state();
  after.generation += 1;
  const std::vector<std::string> zones{"edge", "second"};
  after.node = update_group(after, 3, group_body("renamed", "22"))->next.node;
  after.node.load_balancers.erase(2);
  after.node.account_default_group = 4;
  PendingChange change;
  change.id = 9;
  change.generation = after.generation;
  change.made_at = 5;
  change.confirm_by = 77;
  change.actor = "uid 7";
  change.what = "PUT /x";
  change.undo = difference(before, after);
  after.pending[9] = std::make_shared<const PendingChange>(change);
  after.expiries[{1, 1}] = 123'456;
  {
    auto opened = StoreSqlite::open(folder.file("state.db"));
    ASSERT_TRUE((*opened)->commit(State{}, after, {}));
  }
  auto opened = StoreSqlite::open(folder.file("state.db"));
  const auto loaded = (*opened)->load();
  ASSERT_TRUE(loaded) << loaded.error().message;
  const PendingChange& read = *(*loaded)->pending.at(9);
  EXPECT_EQ(pending_to_json(read), pending_to_json(change));
  EXPECT_EQ((*loaded)->expiries, after.expiries);
  const auto back = undone(read.undo, **loaded);
  ASSERT_TRUE(back) << back.error().message;
  for (const auto& [id, group] : before.node.groups) EXPECT_EQ(*back->node.groups.at(id), *group);
  for (const auto& [id, lb] : before.node.load_balancers)
    EXPECT_EQ(*back->node.load_balancers.at(id), *lb);
  EXPECT_EQ(back->node.account_default_group, before.node.account_default_group);
}

}  // namespace
}  // namespace sluice::control
