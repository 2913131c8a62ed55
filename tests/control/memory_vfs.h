// SPDX-License-Identifier: Apache-2.0
//
// A file system in memory under SQLite that fails where it is told to: an error once, or the end of
// the process, or of the power. While one lives, it is SQLite's default.
//
// The end of the power keeps what was synced, and of what was written since then any part: each
// write whole, torn at a sector, or not at all, in any order.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace sluice::tests {

enum class Fault {
  none,
  io_error,    // once
  full,        // once: the disk is full
  torn_write,  // once: half of a write is done, then an error
  killed,      // from there on nothing happens any more; what was written is there
  power_lost,  // the same, and what was not synced is lost in part
};

class MemoryVfs {
 public:
  explicit MemoryVfs(std::uint64_t seed);
  ~MemoryVfs();
  MemoryVfs(const MemoryVfs&) = delete;
  MemoryVfs& operator=(const MemoryVfs&) = delete;

  // Reads, writes, syncs, truncates, opens and deletes so far.
  [[nodiscard]] std::uint64_t operations() const { return operations_; }
  // The operation of that number, from 1, meets the fault.
  void fail_at(std::uint64_t operation, Fault fault) {
    fail_at_ = operation;
    fault_ = fault;
  }
  [[nodiscard]] bool is_dead() const { return is_dead_; }
  // The process and the power end now.
  void kill() { is_dead_ = true; }
  void cut_power() {
    is_dead_ = true;
    fault_ = Fault::power_lost;
  }
  // Works again, with what the fault left. No file may be open.
  void reboot();

  struct Write {
    std::size_t offset = 0;
    std::vector<unsigned char> bytes;
    bool is_truncate = false;  // to `offset`
  };
  struct Content {
    std::vector<unsigned char> synced, now;
    std::vector<Write> unsynced;
  };

  // For the methods.
  [[nodiscard]] Fault next_operation();
  std::map<std::string, std::shared_ptr<Content>> files;
  sqlite3_vfs* original = nullptr;

 private:
  sqlite3_vfs vfs_{};
  std::mt19937_64 random_;
  std::uint64_t operations_ = 0;
  std::uint64_t fail_at_ = 0;
  Fault fault_ = Fault::none;
  bool is_dead_ = false;
};

}  // namespace sluice::tests
