// SPDX-License-Identifier: Apache-2.0
//
// The copies of a table that workers read: in huge pages near them, or the compiler's own.
//
// Owner: the publisher. A replica costs a copy of the images that changed, and its memory.
#pragma once

#include <cstdint>
#include <memory>
#include <memory_resource>
#include <vector>

#include "dataplane/snapshot.h"
#include "rules/result.h"

namespace sluice::dataplane::dpdk {

enum class TableReplicas : std::uint8_t {
  shared,    // one for all, where the compiler wrote it
  per_node,  // one for each NUMA node that has workers
  per_worker,
};

// Asked for at the start for each worker's copies where memory cannot grow later (no huge pages).
inline constexpr std::size_t kReplicaRoomBytes = std::size_t{32} << 20;

class Replicas {
 public:
  // `nodes`: of each worker.
  Replicas(TableReplicas mode, const std::vector<int>& nodes);

  // The snapshot for each worker. Images that the last call's snapshots hold are not copied again.
  // Error: system (no memory for a replica: the sizes, and what to do); nothing has changed then.
  [[nodiscard]] rules::Result<std::vector<std::shared_ptr<const Snapshot>>> make(
      const std::shared_ptr<const Snapshot>& snapshot);

 private:
  // One replica: its memory, and the worker's last table, from which the next one takes over.
  struct Place {
    std::unique_ptr<std::pmr::memory_resource> memory;
    std::shared_ptr<const rules::Table> last;
  };
  std::vector<Place> places_;           // none: shared
  std::vector<std::size_t> of_worker_;  // index in places_
};

}  // namespace sluice::dataplane::dpdk
