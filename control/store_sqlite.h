// SPDX-License-Identifier: Apache-2.0
//
// The store in one SQLite file: WAL, synchronous=FULL, one row a group, load balancer, VPC, end of
// an attachment, change that awaits confirmation and audit entry.
#pragma once

#include <memory>
#include <string>

#include "control/store.h"

namespace sluice::control {

class SqliteConnection;

class StoreSqlite final : public Store {
 public:
  // Creates the file and its folder if need be, and locks it against a second daemon. A file of an
  // older schema is taken forward, one of a newer is refused. A file that is no readable state is
  // set aside as PATH.corrupt-TIME. Errors: storage.
  [[nodiscard]] static rules::Result<std::unique_ptr<StoreSqlite>> open(const std::string& path);
  ~StoreSqlite() override;

  [[nodiscard]] rules::Result<std::optional<State>> load() override;
  [[nodiscard]] rules::Result<void> commit(const State& before, const State& after,
                                           std::span<const AuditEntry> audit) override;
  [[nodiscard]] rules::Result<std::vector<AuditEntry>> read_audit(const AuditQuery& query) override;
  [[nodiscard]] rules::Result<std::string> backup() override;

  // The same of a file that no daemon has open. Errors: storage, not_found.
  [[nodiscard]] static rules::Result<std::string> backup_of(const std::string& path);

 private:
  explicit StoreSqlite(std::unique_ptr<SqliteConnection> connection);
  [[nodiscard]] rules::Result<void> write(const State& before, const State& after);
  [[nodiscard]] rules::Result<void> write_audit(std::span<const AuditEntry> audit);

  std::unique_ptr<SqliteConnection> connection_;
  std::uint64_t last_audit_ = 0;  // id of the newest entry
};

}  // namespace sluice::control
