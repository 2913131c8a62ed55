// SPDX-License-Identifier: Apache-2.0
//
// What the store keeps beside the state: the way from older schemas, the audit, backups.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <fstream>
#include <sstream>

#include "control/service.h"
#include "control/store_sqlite.h"
#include "tests/control/temporary_folder.h"

namespace sluice::control {
namespace {

// SQLite's own answer.
int execute(const std::string& path, const std::string& sql) {
  sqlite3* database = nullptr;
  EXPECT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  const int status = sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr);
  sqlite3_close(database);
  return status & 0xff;
}

AuditEntry entry_of(const std::string& path, UnixMs time) {
  AuditEntry entry = audit_entry({"uid 7", "request", "POST", path, "{}"}, time);
  entry.touched = {"security group 3"};
  entry.generation_before = 1;
  entry.generation_after = 2;
  entry.result = "done";
  return entry;
}

State first() {
  State state = first_state();
  state.generation = 1;
  return state;
}

TEST(StoreHistory, TakesAStateOfSchemaOneForward) {
  const tests::TemporaryFolder folder;
  std::ostringstream dump;
  dump << std::ifstream(SLUICE_STATE_V1).rdbuf();
  ASSERT_EQ(execute(folder.file("state.db"), dump.str()), SQLITE_OK);
  for (int times = 0; times < 2; ++times) {
    auto store = StoreSqlite::open(folder.file("state.db"));
    ASSERT_TRUE(store) << store.error().message;
    const auto loaded = (*store)->load();
    ASSERT_TRUE(loaded) << loaded.error().message;
    const State& state = **loaded;
    EXPECT_EQ(state.generation, 10u);
    EXPECT_EQ(state.next_rule, 15u);
    EXPECT_EQ(state.next_change, 1u);
    EXPECT_EQ(state.node.account_default_group, 3u);
    EXPECT_EQ(state.node.groups.size(), 3u);
    EXPECT_EQ(state.node.groups.at(3)->rules.size(), 4u);
    EXPECT_EQ(state.node.load_balancers.at(1)->groups, (std::vector<rules::GroupId>{1, 3}));
    EXPECT_EQ(state.node.vpcs.at(1)->prefixes.size(), 2u);
    EXPECT_TRUE(state.pending.empty());
    State next = delete_lb(state, 2)->next;
    ASSERT_TRUE((*store)->commit(state, next, std::vector{entry_of("/a", 1)}));
    ASSERT_TRUE((*store)->commit(next, state, {}));
  }
}

TEST(StoreHistory, KeepsTheAuditInOrderAndAnswersFromATimeAndFromAnId) {
  const tests::TemporaryFolder folder;
  {
    auto store = StoreSqlite::open(folder.file("state.db"));
    ASSERT_TRUE((*store)->commit(State{}, first(), {}));
    for (int i = 1; i <= 5; ++i)
      ASSERT_TRUE((*store)->commit(first(), first(),
                                   std::vector{entry_of("/" + std::to_string(i), i * 100)}));
  }
  auto store = StoreSqlite::open(folder.file("state.db"));
  ASSERT_TRUE((*store)->commit(first(), first(), std::vector{entry_of("/6", 600)}));
  const auto paths = [&](const AuditQuery& query) {
    std::string text;
    const auto entries = (*store)->read_audit(query);
    for (const AuditEntry& entry : *entries) text += entry.path;
    return text;
  };
  EXPECT_EQ(paths({}), "/1/2/3/4/5/6");
  EXPECT_EQ(paths({2, {}, {}}), "/5/6");
  EXPECT_EQ(paths({2, 300, {}}), "/3/4");
  EXPECT_EQ(paths({100, {}, 4}), "/5/6");
  AuditEntry expected = entry_of("/6", 600);
  expected.id = 6;
  EXPECT_EQ((*store)->read_audit({1, {}, {}})->front(), expected);
}

TEST(StoreHistory, LetsNobodyRewriteTheAudit) {
  const tests::TemporaryFolder folder;
  {
    auto store = StoreSqlite::open(folder.file("state.db"));
    ASSERT_TRUE((*store)->commit(State{}, first(), std::vector{entry_of("/1", 1)}));
  }
  for (const char* sql :
       {"UPDATE audit SET actor = 'nobody'", "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit SELECT 1, 1, 'x', '', '', '', '', 0, '', 0, 0, '', '', 0",
        "INSERT INTO audit SELECT 0, 1, 'x', '', '', '', '', 0, '', 0, 0, '', '', 0"})
    EXPECT_EQ(execute(folder.file("state.db"), sql), SQLITE_CONSTRAINT) << sql;
}

TEST(StoreHistory, KeepsTheNewestEntriesOfTheAudit) {
  const tests::TemporaryFolder folder;
  (void)StoreSqlite::open(folder.file("state.db"));
  ASSERT_EQ(execute(folder.file("state.db"),
                    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
                    "100090) INSERT INTO audit SELECT i, i, '', '', '', '', '', 0, '[]', 0, 0, '', "
                    "'', 0 FROM n"),
            SQLITE_OK);
  auto store = StoreSqlite::open(folder.file("state.db"));
  for (int i = 0; i < 64; ++i)
    ASSERT_TRUE((*store)->commit(first(), first(), std::vector{entry_of("/", 1)}));
  const auto oldest = (*store)->read_audit({1, 0, {}});
  const auto newest = (*store)->read_audit({1, {}, {}});
  const std::uint64_t kept = newest->front().id - oldest->front().id + 1;
  EXPECT_GE(kept, kAuditEntriesKept);
  EXPECT_LE(kept, kAuditEntriesKept + 64);  // they go 64 at a time
}

TEST(StoreHistory, GivesABackupThatOpens) {
  const tests::TemporaryFolder folder;
  std::string bytes;
  {
    auto store = StoreSqlite::open(folder.file("state.db"));
    ASSERT_TRUE((*store)->commit(State{}, first(), std::vector{entry_of("/1", 1)}));
    bytes = *(*store)->backup();
    EXPECT_FALSE(StoreSqlite::backup_of(folder.file("state.db")));  // in use
    EXPECT_FALSE(StoreSqlite::backup_of(folder.file("none.db")));
  }
  EXPECT_TRUE(StoreSqlite::backup_of(folder.file("state.db")));
  std::ofstream(folder.file("copy.db"), std::ios::binary) << bytes;
  auto copy = StoreSqlite::open(folder.file("copy.db"));
  ASSERT_TRUE(copy) << copy.error().message;
  EXPECT_EQ((*(*copy)->load())->generation, 1u);
  EXPECT_EQ((*copy)->read_audit({})->size(), 1u);
}

TEST(StoreHistory, SetsAFileWithABrokenPageAside) {
  const tests::TemporaryFolder folder;
  {
    auto store = StoreSqlite::open(folder.file("state.db"));
    ASSERT_TRUE((*store)->commit(State{}, first(), {}));
  }
  {
    std::fstream file(folder.file("state.db"), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);
    file << std::string(4096, '\x5a');
  }
  auto store = StoreSqlite::open(folder.file("state.db"));
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().message.find("set aside"), std::string::npos) << store.error().message;
  EXPECT_FALSE(std::filesystem::exists(folder.file("state.db")));
}

}  // namespace
}  // namespace sluice::control
