// SPDX-License-Identifier: Apache-2.0
//
// Memory as the daemon has it: on huge pages where the kernel gives them.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>

namespace sluice::bench {

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
