// SPDX-License-Identifier: Apache-2.0
//
// Memory as the daemon has it: on huge pages where the kernel gives them.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <string>

namespace sluice::bench {

// Reserved pages of 2 MiB that nobody uses (hugetlbfs, for DPDK).
inline std::size_t free_huge_pages() {
  std::ifstream file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
  std::size_t pages = 0;
  file >> pages;
  return pages;
}

// What may still be taken without harm to others.
inline std::size_t free_memory_bytes() {
  std::ifstream file("/proc/meminfo");
  std::size_t kib = 0;
  for (std::string word; file >> word;)
    if (word == "MemAvailable:") file >> kib;
  return kib << 10;
}

class HugeMemory {
 public:
  explicit HugeMemory(std::size_t bytes) : size_((bytes + kPage - 1) / kPage * kPage) {
    void* at = std::aligned_alloc(kPage, size_);
    if (at == nullptr) std::abort();
    (void)madvise(at, size_, MADV_HUGEPAGE);
    bytes_ = static_cast<std::byte*>(at);
  }
  ~HugeMemory() { std::free(bytes_); }
  HugeMemory(const HugeMemory&) = delete;
  HugeMemory& operator=(const HugeMemory&) = delete;
  [[nodiscard]] std::byte* data() const { return bytes_; }

 private:
  static constexpr std::size_t kPage = 2u << 20;
  std::size_t size_;
  std::byte* bytes_;
};

}  // namespace sluice::bench
