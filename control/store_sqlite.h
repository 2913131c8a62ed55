// SPDX-License-Identifier: Apache-2.0
//
// The store in one SQLite file: WAL, synchronous=FULL, one row a group, load balancer or VPC.
#pragma once

#include <memory>
#include <string>

#include "control/store.h"

namespace sluice::control {

class StoreSqlite final : public Store {
 public:
  // Creates the file and its folder if need be, and locks it against a second daemon.
  // A file that is no readable state is set aside as PATH.corrupt-TIME. Errors: storage.
  [[nodiscard]] static rules::Result<std::unique_ptr<StoreSqlite>> open(const std::string& path);
  ~StoreSqlite() override;

  [[nodiscard]] rules::Result<std::optional<State>> load() override;
  [[nodiscard]] rules::Result<void> commit(const State& before, const State& after) override;

 private:
  struct Connection;
  explicit StoreSqlite(std::unique_ptr<Connection> connection);
  std::unique_ptr<Connection> connection_;
};

}  // namespace sluice::control
