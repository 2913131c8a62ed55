// SPDX-License-Identifier: Apache-2.0
//
// One SQLite file, opened for this process alone: WAL, synchronous=FULL, prepared statements kept.
//
// Owner: one thread.
#pragma once

#include <sqlite3.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "rules/result.h"

namespace sluice::control {

class SqliteConnection {
 public:
  explicit SqliteConnection(std::string path) : path_(std::move(path)) {}
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;
  ~SqliteConnection();

  [[nodiscard]] rules::Result<void> open(int flags);
  [[nodiscard]] const std::string& path() const { return path_; }
  // What a failure was about: a primary result code of SQLite.
  [[nodiscard]] int reason() const { return sqlite3_errcode(database_) & 0xff; }
  [[nodiscard]] tl::unexpected<rules::Error> error(std::string_view what) const;

  // Statements without an answer.
  [[nodiscard]] rules::Result<void> run(const char* sql) const;
  void roll_back() const noexcept;
  [[nodiscard]] rules::Result<std::int64_t> number(const char* sql);
  // All pages as they are now.
  [[nodiscard]] rules::Result<std::string> serialize() const;

  // A statement, prepared once, reset when the scope ends. Values are bound in order, from 1.
  class Use {
   public:
    explicit Use(sqlite3_stmt* statement) : statement_(statement) {}
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    ~Use();
    Use& bind(std::int64_t value);
    Use& bind(std::string_view text);  // must outlive the use
    // The next row: SQLITE_ROW, SQLITE_DONE, or an error.
    [[nodiscard]] int step();
    [[nodiscard]] std::int64_t number(int column) const;
    [[nodiscard]] std::string_view text(int column) const;  // until the next step

   private:
    sqlite3_stmt* statement_;  // null: it could not be prepared
    int bound_ = 0;
  };
  [[nodiscard]] Use use(const char* sql);

  // Runs a statement that has no rows, with these values.
  template <class... Values>
  [[nodiscard]] rules::Result<void> write(const char* sql, const Values&... values) {
    Use statement = use(sql);
    (statement.bind(values), ...);
    if (statement.step() != SQLITE_DONE) return error("could not be written");
    return {};
  }
  // Visits every row: visit(use) -> Result<void>.
  template <class Visit>
  [[nodiscard]] rules::Result<void> each(const char* sql, Visit visit) {
    Use statement = use(sql);
    return each_row(statement, visit);
  }
  template <class Visit>
  [[nodiscard]] rules::Result<void> each_row(Use& statement, Visit visit) const {
    int status = 0;
    while ((status = statement.step()) == SQLITE_ROW)
      if (rules::Result<void> visited = visit(statement); !visited) return visited;
    if (status != SQLITE_DONE) return error("could not be read");
    return {};
  }

 private:
  std::string path_;
  sqlite3* database_ = nullptr;
  std::map<const char*, sqlite3_stmt*> statements_;  // by the address of their text
};

}  // namespace sluice::control
