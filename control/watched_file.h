// SPDX-License-Identifier: Apache-2.0
//
// A file that is read anew when it changed: secrets that are exchanged while the daemon runs.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <tuple>

#include "rules/result.h"

namespace sluice::control {

class WatchedFile {
 public:
  explicit WatchedFile(std::string path) : path_(std::move(path)) {}

  // Is it another file, or another content, than at the call before? One system call. A file that
  // is not there differs from one that is.
  [[nodiscard]] bool has_changed();
  // Error: invalid; the file cannot be read, is larger than 1 MiB, or others may read or change it.
  [[nodiscard]] rules::Result<std::string> read() const;
  // The same check without the text: for a file that a library reads.
  [[nodiscard]] rules::Result<void> check() const;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  using Stamp = std::tuple<dev_t, ino_t, off_t, std::int64_t, std::int64_t>;
  std::string path_;
  Stamp seen_{};
};

}  // namespace sluice::control
