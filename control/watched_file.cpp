// SPDX-License-Identifier: Apache-2.0
#include "control/watched_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

namespace sluice::control {
namespace {

using rules::ErrorCode;
using rules::fail;
using rules::Result;

constexpr off_t kSizeMax = 1 << 20;

std::int64_t ns_of(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

bool WatchedFile::has_changed() {
  struct stat info {};
  Stamp stamp{};
  if (::stat(path_.c_str(), &info) == 0)
    stamp = {info.st_dev, info.st_ino, info.st_size, ns_of(info.st_mtim), ns_of(info.st_ctim)};
  return std::exchange(seen_, stamp) != stamp;
}

Result<void> WatchedFile::check() const {
  struct stat info {};
  if (::stat(path_.c_str(), &info) != 0) {
    return fail(ErrorCode::invalid,
                fmt::format("{} cannot be read ({})", path_, std::strerror(errno)));
  }
  if (!S_ISREG(info.st_mode) || info.st_size > kSizeMax)
    return fail(ErrorCode::invalid, fmt::format("{} is no file of at most 1 MiB", path_));
  if ((info.st_mode & 0027) != 0) {
    return fail(ErrorCode::invalid,
                fmt::format("{} may be read or changed by others; chmod 600 {}", path_, path_));
  }
  if (info.st_uid != 0 && info.st_uid != ::geteuid()) {
    return fail(ErrorCode::invalid,
                fmt::format("{} belongs to uid {}, who could change it; chown it to root or to "
                            "the user of sluiced",
                            path_, info.st_uid));
  }
  return {};
}

Result<std::string> WatchedFile::read() const {
  if (auto checked = check(); !checked) return tl::unexpected(checked.error());
  std::ifstream file(path_, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (!file.good() && !file.eof())
    return fail(ErrorCode::invalid, fmt::format("{} cannot be read", path_));
  return text;
}

}  // namespace sluice::control
