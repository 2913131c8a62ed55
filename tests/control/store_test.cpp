// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "control/service.h"
#include "control/store_sqlite.h"
#include "tests/control/temporary_folder.h"

namespace sluice::control {
namespace {

using rules::Json;

void expect_equal(const State& a, const State& b) {
  ASSERT_EQ(a.node.groups.size(), b.node.groups.size());
  for (const auto& [id, group] : a.node.groups) EXPECT_EQ(*group, *b.node.groups.at(id));
  ASSERT_EQ(a.node.load_balancers.size(), b.node.load_balancers.size());
  for (const auto& [id, lb] : a.node.load_balancers) EXPECT_EQ(*lb, *b.node.load_balancers.at(id));
  ASSERT_EQ(a.node.vpcs.size(), b.node.vpcs.size());
  for (const auto& [id, vpc] : a.node.vpcs) EXPECT_EQ(*vpc, *b.node.vpcs.at(id));
  EXPECT_EQ(a.node.account_default_group, b.node.account_default_group);
  EXPECT_EQ(a.generation, b.generation);
  EXPECT_EQ(a.next_group, b.next_group);
  EXPECT_EQ(a.next_rule, b.next_rule);
  EXPECT_EQ(a.next_lb, b.next_lb);
  EXPECT_EQ(a.next_vpc, b.next_vpc);
}

State rich_state() {
  const std::vector<std::string> zones{"edge"};
  State state = first_state();
  state =
      create_vpc(state, {{"vpc_name", "prod"}, {"cidrs", {"10.8.0.0/16", "2001:db8::/48"}}})->next;
  state = create_group(state, *rules::parse_json(R"({"name":"a","description":"d","rules":[
    {"rule_type":"Inbound","protocol_name":"TCP","port_range":"22,80-90","network":"manual",
     "network_cidr":"::","network_size":"340282366920938463463374607431768211456"},
    {"rule_type":"Inbound","protocol_name":"ICMP","icmp_type":8,"icmp_code":0,"network":"any"},
    {"rule_type":"Outbound","protocol_name":"GRE","network":"myNetwork","vpc_id":1,"description":"x"}]})"))
              ->next;
  state = register_lb(state,
                      {{"lb_name", "web"},
                       {"addresses", {"10.0.0.1", "fd00::1"}},
                       {"lb_mode", "HTTP"},
                       {"backends", Json::array({{{"x", 1}}})}},
                      zones)
              ->next;
  state.generation = 7;
  return state;
}

TEST(Store, GivesBackWhatWasCommitted) {
  const tests::TemporaryFolder folder;
  const State first = rich_state();
  State second = delete_lb(first, 1)->next;
  second.generation = 8;
  {
    auto store = StoreSqlite::open(folder.file("state.db"));
    ASSERT_TRUE(store) << store.error().message;
    EXPECT_FALSE((*store)->load()->has_value());
    ASSERT_TRUE((*store)->commit(State{}, first, {}));
  }
  {
    auto store = StoreSqlite::open(folder.file("state.db"));
    const auto loaded = (*store)->load();
    ASSERT_TRUE(loaded) << loaded.error().message;
    expect_equal(**loaded, first);
    ASSERT_TRUE((*store)->commit(first, second, {}));
  }
  auto store = StoreSqlite::open(folder.file("state.db"));
  expect_equal(**(*store)->load(), second);
}

TEST(Store, IsLockedAgainstASecondDaemon) {
  const tests::TemporaryFolder folder;
  auto first = StoreSqlite::open(folder.file("state.db"));
  ASSERT_TRUE(first);
  auto second = StoreSqlite::open(folder.file("state.db"));
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("in use"), std::string::npos) << second.error().message;
}

TEST(Store, SetsACorruptFileAsideAndStaysClosed) {
  const tests::TemporaryFolder folder;
  std::ofstream(folder.file("state.db")) << std::string(8192, 'x');
  auto store = StoreSqlite::open(folder.file("state.db"));
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().message.find("set aside"), std::string::npos) << store.error().message;
  EXPECT_FALSE(std::filesystem::exists(folder.file("state.db")));
}

TEST(Store, WorksOnAfterACommitThatCannotBeWritten) {
  const tests::TemporaryFolder folder;
  auto store = StoreSqlite::open(folder.file("state.db"));
  const State first = rich_state();
  ASSERT_TRUE((*store)->commit(State{}, first, {}));
  State broken = first;
  rules::LoadBalancer lb = *first.node.load_balancers.at(1);
  lb.name = "\xff";  // no UTF-8: it cannot become JSON
  broken.node.load_balancers[1] = std::make_shared<const rules::LoadBalancer>(lb);
  EXPECT_FALSE((*store)->commit(first, broken, {}));
  expect_equal(**(*store)->load(), first);
  State second = first;
  second.generation = 8;
  EXPECT_TRUE((*store)->commit(first, second, {}));
}

void execute(const std::string& path, const char* sql) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(database);
}

TEST(Store, RefusesANewerSchemaAndAnotherProgramsFile) {
  const tests::TemporaryFolder folder;
  (void)StoreSqlite::open(folder.file("newer.db"));
  execute(folder.file("newer.db"), "PRAGMA user_version = 99");
  EXPECT_NE(StoreSqlite::open(folder.file("newer.db")).error().message.find("newer"),
            std::string::npos);
  execute(folder.file("other.db"), "CREATE TABLE t (x); PRAGMA user_version = 1");
  EXPECT_NE(StoreSqlite::open(folder.file("other.db")).error().message.find("another program"),
            std::string::npos);
}

TEST(Store, RefusesToLoadWhatItCannotRead) {
  const tests::TemporaryFolder folder;
  {
    auto store = StoreSqlite::open(folder.file("state.db"));
    ASSERT_TRUE((*store)->commit(State{}, rich_state(), {}));
  }
  execute(folder.file("state.db"),
          "UPDATE security_group SET body = '{\"name\":\"\"}' WHERE id = 3");
  auto store = StoreSqlite::open(folder.file("state.db"));
  EXPECT_FALSE((*store)->load());
}

// A child commits and tells each commit it was promised; it is killed at a random moment.
TEST(Store, LosesNoAcknowledgedCommitToKill9) {
  const auto seed = static_cast<unsigned>(::getpid());
  std::printf("seed %u\n", seed);
  std::srand(seed);
  const tests::TemporaryFolder folder;
  std::uint64_t acknowledged = 0;
  for (int round = 0; round < 8; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      auto store = StoreSqlite::open(folder.file("state.db"));
      if (!store) ::_exit(1);
      auto loaded = (*store)->load();
      State state = loaded && *loaded ? **loaded : rich_state();
      while (true) {
        State next = state;
        ++next.generation;
        if (!(*store)->commit(state, next, {})) ::_exit(1);
        state = next;
        if (::write(ends[1], &state.generation, sizeof(state.generation)) < 0) ::_exit(1);
      }
    }
    ::close(ends[1]);
    ::usleep(static_cast<useconds_t>(5'000 + std::rand() % 60'000));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    std::uint64_t generation = 0;
    while (::read(ends[0], &generation, sizeof(generation)) == sizeof(generation))
      acknowledged = generation;
    ::close(ends[0]);
    auto store = StoreSqlite::open(folder.file("state.db"));
    ASSERT_TRUE(store) << store.error().message;
    const auto loaded = (*store)->load();
    ASSERT_TRUE(loaded) << loaded.error().message;
    if (acknowledged != 0) {
      ASSERT_GE((*loaded)->generation, acknowledged);
    }
  }
  EXPECT_GT(acknowledged, 7u);
}

}  // namespace
}  // namespace sluice::control
