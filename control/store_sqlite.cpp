// SPDX-License-Identifier: Apache-2.0
#include "control/store_sqlite.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <array>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "control/load_balancer.h"
#include "rules/json.h"

namespace sluice::control {
namespace {

using rules::ErrorCode;
using rules::fail;
using rules::Json;
using rules::Result;

constexpr int kApplicationId = 0x534c5543;  // "SLUC"

// Step n takes the schema from version n to n + 1. Steps are only ever added.
constexpr std::array<const char*, 1> kMigrations{
    "CREATE TABLE security_group (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;"
    "CREATE TABLE load_balancer (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;"
    "CREATE TABLE vpc (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;"
    "CREATE TABLE setting (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;",
};

struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

struct Close {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};
using Database = std::unique_ptr<sqlite3, Close>;

}  // namespace

struct StoreSqlite::Connection {
  std::string path;
  Database database;

  [[nodiscard]] tl::unexpected<rules::Error> error(std::string_view what) const {
    return fail(ErrorCode::storage,
                fmt::format("state file {}: {} ({})", path, what, sqlite3_errmsg(database.get())));
  }
  Result<void> run(const char* sql) const {
    if (sqlite3_exec(database.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK)
      return error("could not be written");
    return {};
  }
  Statement prepare(const std::string& sql) const {
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(database.get(), sql.c_str(), -1, &statement, nullptr);
    return Statement(statement);
  }
  Result<std::int64_t> number(const char* sql) const {
    const Statement statement = prepare(sql);
    if (!statement || sqlite3_step(statement.get()) != SQLITE_ROW)
      return error("could not be read");
    return sqlite3_column_int64(statement.get(), 0);
  }
  // Visits (integer or text key as text, body) of every row.
  template <class Visit>
  Result<void> each(const std::string& sql, Visit visit) const {
    const Statement statement = prepare(sql);
    if (!statement) return error("could not be read");
    int status = 0;
    while ((status = sqlite3_step(statement.get())) == SQLITE_ROW) {
      if (Result<void> visited = visit(statement.get()); !visited) return visited;
    }
    if (status != SQLITE_DONE) return error("could not be read");
    return {};
  }
  Result<void> put(const char* table, std::int64_t id, const std::string& body) const {
    const Statement statement =
        prepare(fmt::format("INSERT OR REPLACE INTO {} (id, body) VALUES (?, ?)", table));
    if (!statement) return error("could not be written");
    sqlite3_bind_int64(statement.get(), 1, id);
    sqlite3_bind_text(statement.get(), 2, body.data(), static_cast<int>(body.size()),
                      SQLITE_STATIC);
    if (sqlite3_step(statement.get()) != SQLITE_DONE) return error("could not be written");
    return {};
  }
  Result<void> remove(const char* table, std::int64_t id) const {
    const Statement statement = prepare(fmt::format("DELETE FROM {} WHERE id = ?", table));
    if (!statement) return error("could not be written");
    sqlite3_bind_int64(statement.get(), 1, id);
    if (sqlite3_step(statement.get()) != SQLITE_DONE) return error("could not be written");
    return {};
  }
  Result<void> set(const char* name, std::uint64_t value) const {
    const Statement statement =
        prepare("INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)");
    if (!statement) return error("could not be written");
    sqlite3_bind_text(statement.get(), 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement.get(), 2, static_cast<std::int64_t>(value));
    if (sqlite3_step(statement.get()) != SQLITE_DONE) return error("could not be written");
    return {};
  }

  // Rows of values that differ; shared values are equal by their pointer.
  template <class Map, class ToJson>
  Result<void> put_changed(const char* table, const Map& before, const Map& after,
                           ToJson to_json) const {
    for (const auto& [id, value] : after) {
      const auto old = before.find(id);
      if (old != before.end() && old->second == value) continue;
      if (auto done = put(table, id, to_json(*value).dump()); !done) return done;
    }
    for (const auto& [id, value] : before) {
      if (after.contains(id)) continue;
      if (auto done = remove(table, id); !done) return done;
    }
    return {};
  }

  Result<void> prepare_file() const;
  Result<void> write(const State& before, const State& after) const;
};

// Lock, integrity, schema. A file from a newer version is refused, an older one taken forward.
Result<void> StoreSqlite::Connection::prepare_file() const {
  sqlite3_busy_timeout(database.get(), 200);
  sqlite3_extended_result_codes(database.get(), 1);
  // EXCLUSIVE before WAL: the lock is kept until the file is closed, so a second daemon fails here.
  if (auto done = run("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
                      "PRAGMA synchronous=FULL; BEGIN IMMEDIATE; COMMIT;");
      !done)
    return done;
  const auto version = number("PRAGMA user_version");
  if (!version) return tl::unexpected(version.error());
  const auto application = number("PRAGMA application_id");
  if (!application) return tl::unexpected(application.error());
  if (*version != 0 && *application != kApplicationId)
    return fail(ErrorCode::storage, fmt::format("{} is a database of another program", path));
  const auto newest = static_cast<std::int64_t>(kMigrations.size());
  if (*version > newest) {
    return fail(ErrorCode::storage,
                fmt::format("{} was written by a newer Sluice (schema {}, this one knows {}); "
                            "install that version",
                            path, *version, newest));
  }
  for (std::int64_t at = *version; at < newest; ++at) {
    const std::string step =
        fmt::format("BEGIN IMMEDIATE; {} PRAGMA application_id={}; PRAGMA user_version={}; COMMIT;",
                    kMigrations[static_cast<std::size_t>(at)], kApplicationId, at + 1);
    if (auto done = run(step.c_str()); !done) return done;
  }
  return {};
}

Result<std::unique_ptr<StoreSqlite>> StoreSqlite::open(const std::string& path) {
  std::error_code ignored;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, ignored);
  auto connection = std::make_unique<Connection>();
  connection->path = path;
  sqlite3* database = nullptr;
  const int status =
      sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  connection->database.reset(database);
  if (status != SQLITE_OK) return connection->error("could not be opened");
  auto prepared = connection->prepare_file();
  if (prepared) return std::unique_ptr<StoreSqlite>(new StoreSqlite(std::move(connection)));
  const int reason = sqlite3_errcode(database) & 0xff;
  if (reason == SQLITE_BUSY || reason == SQLITE_LOCKED) {
    return fail(ErrorCode::storage,
                fmt::format("state file {} is in use by another sluiced; stop that one or give "
                            "another --state",
                            path));
  }
  if (reason != SQLITE_NOTADB && reason != SQLITE_CORRUPT) return tl::unexpected(prepared.error());
  connection.reset();
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  const std::string aside = fmt::format("{}.corrupt-{}", path, now);
  std::filesystem::rename(path, aside, ignored);
  return fail(
      ErrorCode::storage,
      fmt::format("state file {} is corrupt; it was set aside as {}. Nothing is forwarded. "
                  "Put a backup in its place, or start again to begin with no load balancer",
                  path, aside));
}

StoreSqlite::StoreSqlite(std::unique_ptr<Connection> connection)
    : connection_(std::move(connection)) {}
StoreSqlite::~StoreSqlite() = default;

namespace {

std::string text_of(sqlite3_stmt* statement, int column) {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
  return {bytes == nullptr ? "" : bytes,
          static_cast<std::size_t>(sqlite3_column_bytes(statement, column))};
}

Result<Json> body_of(sqlite3_stmt* statement) {
  return rules::parse_json(text_of(statement, 1));
}

Result<void> load_group(State& state, sqlite3_stmt* row) {
  const auto json = body_of(row);
  if (!json) return tl::unexpected(json.error());
  auto group = rules::group_from_json(*json, state.node);
  if (!group) return tl::unexpected(group.error());
  group->id = static_cast<rules::GroupId>(sqlite3_column_int64(row, 0));
  group->is_all_traffic_rule = json->value("is_all_traffic_rule", false);
  state.node.groups[group->id] = std::make_shared<const rules::Group>(std::move(*group));
  return {};
}

Result<void> load_vpc(State& state, sqlite3_stmt* row) {
  const auto json = body_of(row);
  if (!json) return tl::unexpected(json.error());
  auto vpc = rules::vpc_from_json(*json);
  if (!vpc) return tl::unexpected(vpc.error());
  vpc->id = static_cast<rules::VpcId>(sqlite3_column_int64(row, 0));
  state.node.vpcs[vpc->id] = std::make_shared<const rules::Vpc>(std::move(*vpc));
  return {};
}

Result<void> load_lb(State& state, sqlite3_stmt* row) {
  const auto json = body_of(row);
  if (!json) return tl::unexpected(json.error());
  auto lb = stored_lb_from_json(*json);
  if (!lb) return tl::unexpected(lb.error());
  lb->id = static_cast<rules::LbId>(sqlite3_column_int64(row, 0));
  state.node.load_balancers[lb->id] = std::make_shared<const rules::LoadBalancer>(std::move(*lb));
  return {};
}

Result<void> load_setting(State& state, sqlite3_stmt* row) {
  const std::string name = text_of(row, 0);
  const std::int64_t value = sqlite3_column_int64(row, 1);
  if (name == "generation") state.generation = static_cast<std::uint64_t>(value);
  const auto id = static_cast<std::uint32_t>(value);
  if (name == "next_group") state.next_group = id;
  if (name == "next_rule") state.next_rule = id;
  if (name == "next_lb") state.next_lb = id;
  if (name == "next_vpc") state.next_vpc = id;
  if (name == "account_default_group") state.node.account_default_group = id;
  return {};
}

}  // namespace

Result<std::optional<State>> StoreSqlite::load() {
  State state;
  const auto read = [&](const char* sql, auto load_row) {
    return connection_->each(sql, [&](sqlite3_stmt* row) { return load_row(state, row); });
  };
  // VPCs first: rules name them.
  for (const Result<void>& done : {read("SELECT id, body FROM vpc", load_vpc),
                                   read("SELECT id, body FROM security_group", load_group),
                                   read("SELECT id, body FROM load_balancer", load_lb),
                                   read("SELECT name, value FROM setting", load_setting)}) {
    if (done) continue;
    return fail(ErrorCode::storage, fmt::format("state file {} holds what cannot be read: {}",
                                                connection_->path, done.error().message));
  }
  if (state.generation == 0) return std::nullopt;
  return state;
}

Result<void> StoreSqlite::Connection::write(const State& before, const State& after) const {
  const auto group_json = [](const rules::Group& group) {
    return rules::group_to_json(group, false);
  };
  Result<void> done =
      put_changed("security_group", before.node.groups, after.node.groups, group_json);
  if (done) {
    done = put_changed("load_balancer", before.node.load_balancers, after.node.load_balancers,
                       stored_lb_to_json);
  }
  if (done) done = put_changed("vpc", before.node.vpcs, after.node.vpcs, rules::vpc_to_json);
  const std::array<std::pair<const char*, std::uint64_t>, 6> settings{
      {{"generation", after.generation},
       {"next_group", after.next_group},
       {"next_rule", after.next_rule},
       {"next_lb", after.next_lb},
       {"next_vpc", after.next_vpc},
       {"account_default_group", after.node.account_default_group}}};
  for (const auto& [name, value] : settings)
    if (done) done = set(name, value);
  return done;
}

Result<void> StoreSqlite::commit(const State& before, const State& after) {
  if (auto begun = connection_->run("BEGIN IMMEDIATE"); !begun) return begun;
  Result<void> done;
  try {
    done = connection_->write(before, after);
    if (done) done = connection_->run("COMMIT");
  } catch (const std::exception& exception) {  // memory; a text that is no JSON
    done = fail(ErrorCode::storage,
                fmt::format("state file {}: {}", connection_->path, exception.what()));
  }
  // A transaction left open would refuse every change to come.
  if (!done) sqlite3_exec(connection_->database.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  return done;
}

}  // namespace sluice::control
