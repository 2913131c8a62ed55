// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dpdk/replicas.h"

#include <rte_malloc.h>

#include <algorithm>
#include <new>
#include <string>

namespace sluice::dataplane::dpdk {
namespace {

// DPDK's memory on one NUMA node.
class NodeMemory final : public std::pmr::memory_resource {
 public:
  explicit NodeMemory(int node) : node_(node) {}

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    void* memory = rte_malloc_socket("table", bytes, static_cast<unsigned>(alignment), node_);
    // The standard's way to say so; caught in Replicas::make.
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
  }
  void do_deallocate(void* memory, std::size_t, std::size_t) override { rte_free(memory); }
  [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override {
    return this == &other;
  }
  int node_;
};

}  // namespace

Replicas::Replicas(TableReplicas mode, const std::vector<int>& nodes) {
  std::vector<int> node_of_place;
  for (const int node : nodes) {
    const auto known = std::find(node_of_place.begin(), node_of_place.end(), node);
    if (mode == TableReplicas::per_node && known != node_of_place.end()) {
      of_worker_.push_back(static_cast<std::size_t>(known - node_of_place.begin()));
      continue;
    }
    of_worker_.push_back(node_of_place.size());
    node_of_place.push_back(node);
  }
  if (mode == TableReplicas::shared) return;
  for (const int node : node_of_place) places_.push_back({std::make_unique<NodeMemory>(node), {}});
}

rules::Result<std::vector<std::shared_ptr<const Snapshot>>> Replicas::make(
    const std::shared_ptr<const Snapshot>& snapshot) {
  std::vector<std::shared_ptr<const Snapshot>> snapshots(of_worker_.size(), snapshot);
  if (places_.empty()) return snapshots;
  std::vector<std::shared_ptr<const Snapshot>> made;
  try {
    for (const Place& place : places_) {
      auto copy = std::make_shared<Snapshot>(*snapshot);
      copy->table = snapshot->table->replica(*place.memory, place.last.get());
      made.push_back(std::move(copy));
    }
  } catch (const std::bad_alloc&) {
    return rules::fail(
        rules::ErrorCode::capacity,
        "no memory for the workers' copies of the table (" +
            std::to_string(snapshot->table->size_bytes() >> 20) + " MiB each, " +
            std::to_string(places_.size()) +
            " of them): reserve more huge pages, or start sluiced with --table-replicas shared");
  }
  for (std::size_t i = 0; i < places_.size(); ++i) places_[i].last = made[i]->table;
  for (std::size_t worker = 0; worker < of_worker_.size(); ++worker)
    snapshots[worker] = made[of_worker_[worker]];
  return snapshots;
}

}  // namespace sluice::dataplane::dpdk
