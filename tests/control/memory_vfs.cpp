// SPDX-License-Identifier: Apache-2.0
#include "tests/control/memory_vfs.h"

#include <algorithm>
#include <cstring>

namespace sluice::tests {
namespace {

struct OpenFile {
  sqlite3_file base;
  MemoryVfs* vfs;
  std::shared_ptr<MemoryVfs::Content>* content;
};

OpenFile& file_of(sqlite3_file* file) {
  return *reinterpret_cast<OpenFile*>(file);
}

void put(std::vector<unsigned char>& content, const MemoryVfs::Write& write) {
  if (write.is_truncate) {
    content.resize(std::min(content.size(), write.offset));
    return;
  }
  content.resize(std::max(content.size(), write.offset + write.bytes.size()));
  std::copy(write.bytes.begin(), write.bytes.end(),
            content.begin() + static_cast<std::ptrdiff_t>(write.offset));
}

int close_file(sqlite3_file* file) {
  delete file_of(file).content;
  return SQLITE_OK;
}

int read_file(sqlite3_file* file, void* to, int count, sqlite3_int64 offset) {
  if (file_of(file).vfs->next_operation() != Fault::none) return SQLITE_IOERR_READ;
  const auto& bytes = (*file_of(file).content)->now;
  const auto first = static_cast<std::size_t>(offset), wanted = static_cast<std::size_t>(count);
  const std::size_t there = first < bytes.size() ? std::min(wanted, bytes.size() - first) : 0;
  std::memset(to, 0, wanted);
  if (there != 0) std::memcpy(to, bytes.data() + first, there);
  return there == wanted ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

int write_file(sqlite3_file* file, const void* from, int count, sqlite3_int64 offset) {
  const Fault fault = file_of(file).vfs->next_operation();
  if (fault == Fault::full) return SQLITE_FULL;
  if (fault == Fault::io_error || fault == Fault::killed) return SQLITE_IOERR_WRITE;
  const auto* bytes = static_cast<const unsigned char*>(from);
  MemoryVfs::Write write{static_cast<std::size_t>(offset), {bytes, bytes + count}};
  if (fault != Fault::none) write.bytes.resize(write.bytes.size() / 2);
  auto& content = **file_of(file).content;
  put(content.now, write);
  content.unsynced.push_back(std::move(write));
  return fault == Fault::none ? SQLITE_OK : SQLITE_IOERR_WRITE;
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  if (file_of(file).vfs->next_operation() != Fault::none) return SQLITE_IOERR_TRUNCATE;
  auto& content = **file_of(file).content;
  MemoryVfs::Write write{static_cast<std::size_t>(size), {}, true};
  put(content.now, write);
  content.unsynced.push_back(std::move(write));
  return SQLITE_OK;
}

int sync_file(sqlite3_file* file, int) {
  if (file_of(file).vfs->next_operation() != Fault::none) return SQLITE_IOERR_FSYNC;
  auto& content = **file_of(file).content;
  content.synced = content.now;
  content.unsynced.clear();
  return SQLITE_OK;
}

int size_of_file(sqlite3_file* file, sqlite3_int64* size) {
  *size = static_cast<sqlite3_int64>((*file_of(file).content)->now.size());
  return SQLITE_OK;
}

int lock(sqlite3_file*, int) {
  return SQLITE_OK;
}
int check_lock(sqlite3_file*, int* is_locked) {
  *is_locked = 0;
  return SQLITE_OK;
}
int control(sqlite3_file*, int, void*) {
  return SQLITE_NOTFOUND;
}
int sector_size(sqlite3_file*) {
  return 512;
}
int characteristics(sqlite3_file*) {
  return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

// Version 1: no shared memory, so WAL works under an exclusive lock only, which is how we use it.
constexpr sqlite3_io_methods kMethods{
    1,       close_file, read_file,  write_file, truncate_file, sync_file,       size_of_file,
    lock,    lock,       check_lock, control,    sector_size,   characteristics, nullptr,
    nullptr, nullptr,    nullptr,    nullptr,    nullptr};

MemoryVfs& vfs_of(sqlite3_vfs* vfs) {
  return *static_cast<MemoryVfs*>(vfs->pAppData);
}

int open_file(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  OpenFile& opened = file_of(file);
  opened.base.pMethods = nullptr;
  MemoryVfs& memory = vfs_of(vfs);
  if (memory.next_operation() != Fault::none) return SQLITE_CANTOPEN;
  std::shared_ptr<MemoryVfs::Content> content;
  if (name == nullptr) {
    content = std::make_shared<MemoryVfs::Content>();
  } else {
    if (!memory.files.contains(name) && (flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
    auto& kept = memory.files[name];
    if (kept == nullptr) kept = std::make_shared<MemoryVfs::Content>();
    content = kept;
  }
  opened.vfs = &memory;
  opened.content = new std::shared_ptr<MemoryVfs::Content>(std::move(content));
  opened.base.pMethods = &kMethods;
  if (out_flags != nullptr) *out_flags = flags;
  return SQLITE_OK;
}

int delete_file(sqlite3_vfs* vfs, const char* name, int) {
  if (vfs_of(vfs).next_operation() != Fault::none) return SQLITE_IOERR_DELETE;
  vfs_of(vfs).files.erase(name);
  return SQLITE_OK;
}

int access_file(sqlite3_vfs* vfs, const char* name, int, int* is_there) {
  *is_there = vfs_of(vfs).files.contains(name) ? 1 : 0;
  return SQLITE_OK;
}

int full_path(sqlite3_vfs*, const char* name, int size, char* path) {
  sqlite3_snprintf(size, path, "%s", name);
  return SQLITE_OK;
}

int randomness(sqlite3_vfs* vfs, int count, char* to) {
  return vfs_of(vfs).original->xRandomness(vfs_of(vfs).original, count, to);
}
int sleep(sqlite3_vfs*, int) {
  return 0;
}
int current_time(sqlite3_vfs* vfs, double* time) {
  return vfs_of(vfs).original->xCurrentTime(vfs_of(vfs).original, time);
}
int last_error(sqlite3_vfs*, int, char*) {
  return 0;
}

}  // namespace

MemoryVfs::MemoryVfs(std::uint64_t seed) : random_(seed) {
  original = sqlite3_vfs_find(nullptr);
  vfs_.iVersion = 1;
  vfs_.szOsFile = sizeof(OpenFile);
  vfs_.mxPathname = 512;
  vfs_.zName = "memory";
  vfs_.pAppData = this;
  vfs_.xOpen = open_file;
  vfs_.xDelete = delete_file;
  vfs_.xAccess = access_file;
  vfs_.xFullPathname = full_path;
  vfs_.xRandomness = randomness;
  vfs_.xSleep = sleep;
  vfs_.xCurrentTime = current_time;
  vfs_.xGetLastError = last_error;
  sqlite3_vfs_register(&vfs_, 1);
}

MemoryVfs::~MemoryVfs() {
  sqlite3_vfs_unregister(&vfs_);
  sqlite3_vfs_register(original, 1);
}

Fault MemoryVfs::next_operation() {
  if (is_dead_) return Fault::killed;
  if (++operations_ != fail_at_) return Fault::none;
  if (fault_ == Fault::killed || fault_ == Fault::power_lost) is_dead_ = true;
  // Power may go in the middle of a write; the half of it is as unsynced as the rest.
  return fault_;
}

void MemoryVfs::reboot() {
  for (auto& [name, content] : files) {
    if (fault_ == Fault::power_lost) {
      std::vector<Write> left = std::move(content->unsynced);
      std::shuffle(left.begin(), left.end(), random_);
      for (Write& write : left) {
        const auto fate = random_() % 3;
        if (fate == 0) continue;
        if (fate == 1 && !write.is_truncate)
          write.bytes.resize(std::min<std::size_t>(write.bytes.size(), random_() % 9 * 512));
        put(content->synced, write);
      }
      content->now = content->synced;
    }
    content->synced = content->now;
    content->unsynced.clear();
  }
  is_dead_ = false;
  fault_ = Fault::none;
  fail_at_ = 0;
}

}  // namespace sluice::tests
