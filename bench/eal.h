// SPDX-License-Identifier: Apache-2.0
//
// DPDK for benchmarks: the environment that rte_acl needs, and its memory for our tables, so that
// both sides of a comparison lie in the same kind of pages.
#pragma once

#include <memory_resource>

namespace sluice::bench {

// Once; huge pages where some are reserved. SIMD up to 512 bits, which rte_acl's best algorithm
// needs. Ends the process with a sentence if DPDK does not start.
void start_eal();

// rte_malloc as a memory resource.
[[nodiscard]] std::pmr::memory_resource& eal_memory();

}  // namespace sluice::bench
