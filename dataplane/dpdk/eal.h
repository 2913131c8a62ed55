// SPDX-License-Identifier: Apache-2.0
//
// DPDK's environment: memory, lcores, and the refusals that DPDK itself would make by exiting.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "rules/result.h"

namespace sluice::dataplane::dpdk {

struct EalConfig {
  std::vector<unsigned> worker_cpus;  // worker i runs as lcore i + 1 on worker_cpus[i]
  std::vector<std::string> pci_devices;
  std::size_t memory_bytes = 0;  // that the data plane will ask for
  bool huge_pages = true;
  std::string further;  // arguments, split at spaces
};

// CPUs of the workers: a count takes the last of those this process may run on, a list names them.
// Error: invalid, the text and what may be written.
[[nodiscard]] rules::Result<std::vector<unsigned>> parse_workers(std::string_view text);

// Once per process: DPDK keeps global state. Error: system, one sentence that says what to do.
[[nodiscard]] rules::Result<void> start_eal(const EalConfig& config);
void stop_eal();

}  // namespace sluice::dataplane::dpdk
