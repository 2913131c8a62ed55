// SPDX-License-Identifier: Apache-2.0
#include "control/store_sqlite.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "control/differences.h"
#include "control/load_balancer.h"
#include "control/sqlite_connection.h"
#include "control/store_schema.h"
#include "rules/json.h"

namespace sluice::control {
namespace {

using rules::ErrorCode;
using rules::fail;
using rules::Json;
using rules::Result;

Result<void> take_forward(SqliteConnection& connection, std::int64_t from) {
  for (std::size_t at = static_cast<std::size_t>(from); at < kStoreMigrations.size(); ++at) {
    const std::string step =
        fmt::format("BEGIN IMMEDIATE; {} PRAGMA application_id={}; PRAGMA user_version={}; COMMIT;",
                    kStoreMigrations[at], kStoreApplicationId, at + 1);
    if (auto done = connection.run(step.c_str()); !done) {
      connection.roll_back();
      return done;
    }
  }
  return {};
}

// Is that what quick_check says of bad content? A page that cannot be read for another reason (an
// I/O error, memory) it reports in the same way, with SQLite's code: no reason to give the file up.
bool tells_of_corruption(std::string_view finding) {
  const std::size_t place = finding.find("error code");
  if (finding.find("failed to get page") != std::string_view::npos) return false;
  if (place == std::string_view::npos) return finding != "ok";
  const std::size_t digits = finding.find_first_of("0123456789", place);
  if (digits == std::string_view::npos) return true;
  const int reason = std::atoi(std::string(finding.substr(digits)).c_str()) & 0xff;
  return reason == SQLITE_CORRUPT || reason == SQLITE_NOTADB;
}

// Every page, before anything is believed.
Result<void> check_pages(SqliteConnection& connection, bool& is_corrupt) {
  bool is_read = true;
  auto checked = connection.each("PRAGMA quick_check(1)", [&](auto& row) -> Result<void> {
    is_corrupt = is_corrupt || tells_of_corruption(row.text(0));
    is_read = is_read && row.text(0) == "ok";
    return {};
  });
  if (!checked) return checked;
  if (is_read) return {};
  return fail(ErrorCode::storage, fmt::format("state file {} {}", connection.path(),
                                              is_corrupt ? "is corrupt" : "could not be read"));
}

// Lock, integrity, schema. A file from a newer version is refused, an older one taken forward.
Result<void> prepare_file(SqliteConnection& connection, bool& is_corrupt) {
  // EXCLUSIVE before WAL: the lock is kept until the file is closed, so a second daemon fails here.
  if (auto done = connection.run("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
                                 "PRAGMA synchronous=FULL; BEGIN IMMEDIATE; COMMIT;");
      !done)
    return done;
  const auto version = connection.number("PRAGMA user_version");
  if (!version) return tl::unexpected(version.error());
  const auto application = connection.number("PRAGMA application_id");
  if (!application) return tl::unexpected(application.error());
  if (*version != 0 && *application != kStoreApplicationId) {
    return fail(ErrorCode::storage,
                fmt::format("{} is a database of another program", connection.path()));
  }
  const auto newest = static_cast<std::int64_t>(kStoreMigrations.size());
  if (*version > newest) {
    return fail(ErrorCode::storage,
                fmt::format("{} was written by a newer Sluice (schema {}, this one knows {}); "
                            "install that version",
                            connection.path(), *version, newest));
  }
  if (auto checked = check_pages(connection, is_corrupt); !checked) return checked;
  return take_forward(connection, *version);
}

// The log goes with its file: left behind, it would be played into the next one.
std::string set_aside(const std::string& path) {
  std::error_code ignored;
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  const std::string aside = fmt::format("{}.corrupt-{}", path, now);
  std::filesystem::rename(path + "-wal", aside + "-wal", ignored);
  std::filesystem::rename(path, aside, ignored);
  return aside;
}

}  // namespace

Result<std::unique_ptr<StoreSqlite>> StoreSqlite::open(const std::string& path) {
  std::error_code ignored;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, ignored);
  auto connection = std::make_unique<SqliteConnection>(path);
  if (auto opened = connection->open(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE); !opened)
    return tl::unexpected(opened.error());
  bool is_corrupt = false;
  auto prepared = prepare_file(*connection, is_corrupt);
  if (prepared) {
    const auto last = connection->number("SELECT coalesce(max(id), 0) FROM audit");
    if (!last) return tl::unexpected(last.error());
    auto store = std::unique_ptr<StoreSqlite>(new StoreSqlite(std::move(connection)));
    store->last_audit_ = static_cast<std::uint64_t>(*last);
    return store;
  }
  const int reason = connection->reason();
  if (reason == SQLITE_BUSY || reason == SQLITE_LOCKED) {
    return fail(ErrorCode::storage,
                fmt::format("state file {} is in use by another sluiced; stop that one or give "
                            "another --state",
                            path));
  }
  if (!is_corrupt && reason != SQLITE_NOTADB && reason != SQLITE_CORRUPT)
    return tl::unexpected(prepared.error());
  connection.reset();
  return fail(
      ErrorCode::storage,
      fmt::format("state file {} is corrupt; it was set aside as {}. Nothing is forwarded. "
                  "Put a backup in its place, or start again to begin with no load balancer",
                  path, set_aside(path)));
}

StoreSqlite::StoreSqlite(std::unique_ptr<SqliteConnection> connection)
    : connection_(std::move(connection)) {}
StoreSqlite::~StoreSqlite() = default;

namespace {

// Rows of values that differ.
template <class Map, class ToJson>
Result<void> put_changed(SqliteConnection& connection, const char* put, const char* remove,
                         const Map& before, const Map& after, ToJson to_json) {
  Result<void> done;
  each_difference(before, after, [&](auto id, const auto*, const auto* now) {
    if (!done) return;
    const auto key = static_cast<std::int64_t>(id);
    if (now == nullptr) {
      done = connection.write(remove, key);
    } else {
      const std::string body = to_json(**now).dump();
      done = connection.write(put, key, std::string_view(body));
    }
  });
  return done;
}

Result<void> put_expiries(SqliteConnection& connection, const State& before, const State& after) {
  Result<void> done;
  each_difference(before.expiries, after.expiries,
                  [&](const Attachment& attachment, const auto*, const UnixMs* at) {
                    if (!done) return;
                    const auto lb = std::int64_t{attachment.lb};
                    const auto group = std::int64_t{attachment.group};
                    done = at == nullptr
                               ? connection.write(
                                     "DELETE FROM expiry WHERE load_balancer = ? AND "
                                     "security_group = ?",
                                     lb, group)
                               : connection.write("INSERT OR REPLACE INTO expiry VALUES (?, ?, ?)",
                                                  lb, group, *at);
                  });
  return done;
}

using Settings = std::array<std::pair<std::string_view, std::uint64_t>, 7>;

Settings settings_of(const State& state) {
  return {{{"generation", state.generation},
           {"next_group", state.next_group},
           {"next_rule", state.next_rule},
           {"next_lb", state.next_lb},
           {"next_vpc", state.next_vpc},
           {"next_change", state.next_change},
           {"account_default_group", state.node.account_default_group}}};
}

Result<void> put_settings(SqliteConnection& connection, const State& before, const State& after) {
  const Settings old = settings_of(before), now = settings_of(after);
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (before.generation != 0 && old[i] == now[i]) continue;
    if (auto done = connection.write("INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)",
                                     now[i].first, static_cast<std::int64_t>(now[i].second));
        !done)
      return done;
  }
  return {};
}

}  // namespace

Result<void> StoreSqlite::write(const State& before, const State& after) {
  SqliteConnection& connection = *connection_;
  Result<void> done =
      put_changed(connection, "INSERT OR REPLACE INTO security_group (id, body) VALUES (?, ?)",
                  "DELETE FROM security_group WHERE id = ?", before.node.groups, after.node.groups,
                  [](const rules::Group& group) { return rules::group_to_json(group, false); });
  if (done) {
    done = put_changed(connection, "INSERT OR REPLACE INTO load_balancer (id, body) VALUES (?, ?)",
                       "DELETE FROM load_balancer WHERE id = ?", before.node.load_balancers,
                       after.node.load_balancers, stored_lb_to_json);
  }
  if (done) {
    done = put_changed(connection, "INSERT OR REPLACE INTO vpc (id, body) VALUES (?, ?)",
                       "DELETE FROM vpc WHERE id = ?", before.node.vpcs, after.node.vpcs,
                       rules::vpc_to_json);
  }
  if (done) {
    done = put_changed(connection, "INSERT OR REPLACE INTO pending_change (id, body) VALUES (?, ?)",
                       "DELETE FROM pending_change WHERE id = ?", before.pending, after.pending,
                       pending_to_json);
  }
  if (done) done = put_expiries(connection, before, after);
  if (done) done = put_settings(connection, before, after);
  return done;
}

Result<void> StoreSqlite::write_audit(std::span<const AuditEntry> audit) {
  std::uint64_t id = last_audit_;
  for (const AuditEntry& entry : audit) {
    const std::string touched =
        Json(entry.touched).dump(-1, ' ', false, Json::error_handler_t::replace);
    auto done = connection_->write(
        "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        static_cast<std::int64_t>(++id), entry.time, std::string_view(entry.actor),
        std::string_view(entry.cause), std::string_view(entry.method), std::string_view(entry.path),
        std::string_view(entry.body), static_cast<std::int64_t>(entry.body_bytes),
        std::string_view(touched), static_cast<std::int64_t>(entry.generation_before),
        static_cast<std::int64_t>(entry.generation_after), std::string_view(entry.result),
        std::string_view(entry.message), std::int64_t{entry.change});
    if (!done) return done;
    // Now and then: a few rows more than are promised cost less than a delete each time.
    if (id % 64 != 0 || id <= kAuditEntriesKept) continue;
    done = connection_->write("DELETE FROM audit WHERE id <= ?",
                              static_cast<std::int64_t>(id - kAuditEntriesKept));
    if (!done) return done;
  }
  return {};
}

Result<void> StoreSqlite::commit(const State& before, const State& after,
                                 std::span<const AuditEntry> audit) {
  if (auto begun = connection_->run("BEGIN IMMEDIATE"); !begun) return begun;
  Result<void> done;
  try {
    done = write(before, after);
    if (done) done = write_audit(audit);
    if (done) done = connection_->run("COMMIT");
  } catch (const std::exception& exception) {  // memory; a text that is no JSON
    done = fail(ErrorCode::storage,
                fmt::format("state file {}: {}", connection_->path(), exception.what()));
  }
  if (done) {
    last_audit_ += audit.size();
  } else {
    // A transaction left open would refuse every change to come.
    connection_->roll_back();
  }
  return done;
}

Result<std::string> StoreSqlite::backup() {
  return connection_->serialize();
}

Result<std::string> StoreSqlite::backup_of(const std::string& path) {
  if (!std::filesystem::exists(path))
    return fail(ErrorCode::not_found, fmt::format("there is no state file {}", path));
  SqliteConnection connection(path);
  if (auto opened = connection.open(SQLITE_OPEN_READWRITE); !opened)
    return tl::unexpected(opened.error());
  const auto application = connection.number("PRAGMA application_id");
  if (!application && connection.reason() == SQLITE_BUSY) {
    return fail(ErrorCode::storage,
                fmt::format("state file {} is in use by sluiced; leave out --state, and sluiced "
                            "itself gives the backup",
                            path));
  }
  if (!application) return tl::unexpected(application.error());
  if (*application != kStoreApplicationId)
    return fail(ErrorCode::storage, fmt::format("{} is no state file of Sluice", path));
  bool is_corrupt = false;
  if (auto checked = check_pages(connection, is_corrupt); !checked)
    return tl::unexpected(checked.error());
  return connection.serialize();
}

}  // namespace sluice::control
