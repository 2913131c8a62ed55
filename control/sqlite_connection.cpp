// SPDX-License-Identifier: Apache-2.0
#include "control/sqlite_connection.h"

#include <fmt/format.h>

namespace sluice::control {

using rules::ErrorCode;
using rules::fail;
using rules::Result;

SqliteConnection::~SqliteConnection() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(database_);
}

Result<void> SqliteConnection::open(int flags) {
  if (sqlite3_open_v2(path_.c_str(), &database_, flags, nullptr) != SQLITE_OK)
    return error("could not be opened");
  sqlite3_busy_timeout(database_, 200);
  sqlite3_extended_result_codes(database_, 1);
  return {};
}

tl::unexpected<rules::Error> SqliteConnection::error(std::string_view what) const {
  return fail(ErrorCode::storage,
              fmt::format("state file {}: {} ({})", path_, what, sqlite3_errmsg(database_)));
}

Result<void> SqliteConnection::run(const char* sql) const {
  if (sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) != SQLITE_OK)
    return error("could not be written");
  return {};
}

void SqliteConnection::roll_back() const noexcept {
  sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
}

Result<std::int64_t> SqliteConnection::number(const char* sql) {
  Use statement = use(sql);
  if (statement.step() != SQLITE_ROW) return error("could not be read");
  return statement.number(0);
}

Result<std::string> SqliteConnection::serialize() const {
  sqlite3_int64 size = 0;
  const std::unique_ptr<unsigned char, void (*)(void*)> bytes(
      sqlite3_serialize(database_, "main", &size, 0), sqlite3_free);
  if (bytes == nullptr) return error("could not be copied");
  return std::string(reinterpret_cast<const char*>(bytes.get()), static_cast<std::size_t>(size));
}

SqliteConnection::Use SqliteConnection::use(const char* sql) {
  sqlite3_stmt*& statement = statements_[sql];
  if (statement == nullptr)
    sqlite3_prepare_v3(database_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  return Use(statement);
}

SqliteConnection::Use::~Use() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

SqliteConnection::Use& SqliteConnection::Use::bind(std::int64_t value) {
  sqlite3_bind_int64(statement_, ++bound_, value);
  return *this;
}

SqliteConnection::Use& SqliteConnection::Use::bind(std::string_view text) {
  sqlite3_bind_text(statement_, ++bound_, text.data(), static_cast<int>(text.size()),
                    SQLITE_STATIC);
  return *this;
}

int SqliteConnection::Use::step() {
  return statement_ == nullptr ? SQLITE_ERROR : sqlite3_step(statement_);
}

std::int64_t SqliteConnection::Use::number(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string_view SqliteConnection::Use::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  return {bytes == nullptr ? "" : bytes,
          static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

}  // namespace sluice::control
