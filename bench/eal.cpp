// SPDX-License-Identifier: Apache-2.0
#include "bench/eal.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_malloc.h>

#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "bench/huge_memory.h"

namespace sluice::bench {
namespace {

class EalMemory final : public std::pmr::memory_resource {
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    void* memory = rte_malloc(nullptr, bytes, static_cast<unsigned>(alignment));
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
  }
  void do_deallocate(void* memory, std::size_t, std::size_t) override { rte_free(memory); }
  [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override {
    return this == &other;
  }
};

}  // namespace

void start_eal() {
  static const bool started = [] {
    std::vector<std::string> words{
        "bench", "--no-pci", "--no-telemetry", "--force-max-simd-bitwidth=512", "--log-level=*:4",
        "-l",    "0"};
    if (free_huge_pages() >= 256) {
      words.emplace_back("--in-memory");
    } else {
      words.insert(words.end(), {"--no-huge", "-m", "2048"});
    }
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    if (rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) < 0) {
      std::fprintf(stderr, "Error: DPDK does not start (%s)\n", rte_strerror(rte_errno));
      std::exit(1);
    }
    return true;
  }();
  (void)started;
}

std::pmr::memory_resource& eal_memory() {
  static EalMemory memory;
  return memory;
}

}  // namespace sluice::bench
