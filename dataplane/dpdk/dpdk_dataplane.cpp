// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dpdk/dpdk_dataplane.h"

#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <sys/random.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "dataplane/dpdk/eal.h"
#include "dataplane/dpdk/handover.h"
#include "dataplane/dpdk/ports.h"
#include "dataplane/dpdk/watchdog.h"
#include "dataplane/dpdk/worker.h"

namespace sluice::dataplane::dpdk {
namespace {

using rules::ErrorCode;
using rules::fail;
using Clock = std::chrono::steady_clock;

constexpr unsigned kMbufsPerPort = 16384;
constexpr unsigned kMbufCache = 256;
// A worker that has not finished a burst in this time hangs.
constexpr auto kGracePeriodMax = std::chrono::seconds(2);
// How long a change waits for the count of what became of live flows: 64 M flows take seconds.
constexpr auto kReviewMax = std::chrono::seconds(10);

HashSecret draw_secret() {
  HashSecret secret;
  if (getrandom(&secret, sizeof(secret), 0) != static_cast<ssize_t>(sizeof(secret)))
    secret = {static_cast<std::uint64_t>(Clock::now().time_since_epoch().count()), 1};
  return secret;
}

int run_worker(void* worker) {
  static_cast<Worker*>(worker)->run();
  return 0;
}

}  // namespace

struct DpdkDataplane::Parts {
  Shared shared;
  std::vector<std::string> zones;
  rte_mempool* pool = nullptr;
  std::unique_ptr<Handover> handover;
  std::vector<void*> worker_memory;  // tables of flows and of fragments
  std::vector<std::unique_ptr<Worker>> workers;
  std::optional<Watchdog> watchdog;
  std::unique_ptr<Asker> asker;
  // Publisher only.
  std::optional<Replicas> replicas;
  // What a worker may still read, a snapshot a worker: those in force, and those whose grace
  // period did not end.
  std::vector<std::vector<std::shared_ptr<const Snapshot>>> held;
  // Questions that a worker which hangs may still read.
  std::vector<std::pair<std::unique_ptr<PreviewRequest>, std::shared_ptr<const Snapshot>>> asked;
  std::uint64_t previews = 0;
  bool ports_open = false;
  bool spreads_by_ports = false;

  ~Parts() {
    watchdog.reset();
    shared.stop.store(true);
    for (const auto& worker : workers) {
      rte_eal_wait_lcore(worker->lcore);
      // What the worker did last happened before what follows (DPDK's own wait says so by a pipe,
      // which ThreadSanitizer does not see).
      (void)worker->ended.load(std::memory_order_acquire);
    }
    if (ports_open) close_ports(shared.ports);
    handover.reset();
    workers.clear();
    held.clear();
    replicas.reset();
    for (void* memory : worker_memory) rte_free(memory);
    rte_free(shared.rcu);
    rte_mempool_free(pool);
    stop_eal();
  }

  [[nodiscard]] bool all_run(std::uint64_t generation) const {
    return std::all_of(workers.begin(), workers.end(), [&](const auto& worker) {
      return worker->generation.load(std::memory_order_acquire) == generation;
    });
  }
  // Every worker has reported once since the call. False: not until the deadline.
  [[nodiscard]] bool wait_for_round(Clock::time_point deadline) const {
    const std::uint64_t token = rte_rcu_qsbr_start(shared.rcu);
    while (rte_rcu_qsbr_check(shared.rcu, token, false) == 0) {
      if (Clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }
  // Frames judged before the call, waiting for the worker that may use the port they leave by, are
  // out. A worker sends all that wait in each of its rounds; the first report may end a round that
  // had passed that point, the second ends one that had not.
  [[nodiscard]] bool drain_passed(Clock::time_point deadline) const {
    return shared.workers == 1 || (wait_for_round(deadline) && wait_for_round(deadline));
  }
  // The workers that made no round since theirs were counted, as words.
  [[nodiscard]] std::string silent_since(const std::vector<std::uint64_t>& rounds) const {
    std::string names;
    for (const auto& worker : workers) {
      if (worker->rounds.load(std::memory_order_relaxed) > rounds[worker->index] + 1) continue;
      names += (names.empty() ? "worker " : ", worker ") + std::to_string(worker->index) +
               " (lcore " + std::to_string(worker->lcore) + ")";
    }
    return names.empty() ? "a worker" : names;
  }
  // What became, or would become, of the live flows of all workers; waits until each has judged all
  // of its own. `of` is where a worker tells.
  [[nodiscard]] FateCounts gather(std::uint64_t generation,
                                  SharedValue<FateCounts> Worker::*of) const;
  rules::Result<void> open_memory();
  rules::Result<void> open_workers(const DpdkConfig& config);
};

FateCounts DpdkDataplane::Parts::gather(std::uint64_t generation,
                                        SharedValue<FateCounts> Worker::*of) const {
  const auto begin = Clock::now();
  FateCounts total{generation, 0, 0, 0, 1};
  for (const auto& worker : workers) {
    FateCounts fates = ((*worker).*of).read();
    while ((fates.generation != generation || fates.complete == 0) &&
           Clock::now() - begin < kReviewMax) {
      std::this_thread::sleep_for(std::chrono::microseconds(20));
      fates = ((*worker).*of).read();
    }
    if (fates.generation != generation) fates = {};
    total.cut += fates.cut;
    total.kept += fates.kept;
    total.draining += fates.draining;
    total.complete &= fates.complete;
  }
  return total;
}

rules::Result<void> DpdkDataplane::Parts::open_memory() {
  std::size_t room = 0;
  for (const Port& port : shared.ports) room = std::max(room, frame_room_bytes(port.device));
  pool = rte_pktmbuf_pool_create(
      "frames", static_cast<unsigned>(shared.ports.size()) * kMbufsPerPort, kMbufCache, 0,
      static_cast<std::uint16_t>(room + RTE_PKTMBUF_HEADROOM), SOCKET_ID_ANY);
  if (pool == nullptr) {
    return fail(ErrorCode::system, std::string("no memory for frames (") + rte_strerror(rte_errno) +
                                       "); reserve more huge pages: scripts/hugepages 1024");
  }
  const std::size_t size = rte_rcu_qsbr_get_memsize(shared.workers);
  shared.rcu = static_cast<rte_rcu_qsbr*>(rte_zmalloc("rcu", size, RTE_CACHE_LINE_SIZE));
  if (shared.rcu == nullptr) return fail(ErrorCode::system, "no memory to start with");
  rte_rcu_qsbr_init(shared.rcu, shared.workers);
  auto rings = Handover::open(shared.workers);
  if (!rings) return tl::unexpected(rings.error());
  handover = std::make_unique<Handover>(std::move(*rings));
  shared.handover = handover.get();
  return {};
}

rules::Result<void> DpdkDataplane::Parts::open_workers(const DpdkConfig& config) {
  const std::size_t size = FlowTable::size_bytes(config.flows_max);
  for (unsigned i = 0; i < shared.workers; ++i) {
    const unsigned lcore = i + 1;
    void* memory =
        rte_zmalloc_socket("flows", size, 64, static_cast<int>(rte_lcore_to_socket_id(lcore)));
    if (memory == nullptr) {
      return fail(ErrorCode::system,
                  "no memory for " + std::to_string(config.flows_max) + " flows (" +
                      std::to_string(size >> 20) +
                      " MiB a worker); lower --flows-max or reserve more huge pages");
    }
    worker_memory.push_back(memory);
    const std::size_t fragment_size = FragmentTracker::size_bytes(config.datagrams_max);
    void* fragment_memory = rte_zmalloc_socket("fragments", fragment_size, 64,
                                               static_cast<int>(rte_lcore_to_socket_id(lcore)));
    if (fragment_memory == nullptr) {
      return fail(ErrorCode::system,
                  "no memory for " + std::to_string(config.datagrams_max) +
                      " datagrams in fragments; lower --datagrams-max or reserve more huge pages");
    }
    worker_memory.push_back(fragment_memory);
    void* tally_memory = rte_zmalloc_socket("counts", Tally::size_bytes(), 64,
                                            static_cast<int>(rte_lcore_to_socket_id(lcore)));
    if (tally_memory == nullptr) {
      return fail(ErrorCode::system, "no memory for counts (" +
                                         std::to_string(Tally::size_bytes() >> 20) +
                                         " MiB a worker); reserve more huge pages");
    }
    worker_memory.push_back(tally_memory);
    workers.push_back(std::make_unique<Worker>(
        i, lcore, shared,
        Worker::Tables{
            FlowTable({static_cast<std::byte*>(memory), size}, config.flows_max, draw_secret()),
            FragmentTracker({static_cast<std::byte*>(fragment_memory), fragment_size},
                            config.datagrams_max, draw_secret()),
            Tally({static_cast<std::byte*>(tally_memory), Tally::size_bytes()})},
        config.drop_records_per_s));
    rte_rcu_qsbr_thread_register(shared.rcu, i);
  }
  for (const auto& worker : workers) {
    if (rte_eal_remote_launch(run_worker, worker.get(), worker->lcore) != 0)
      return fail(ErrorCode::system, "worker " + std::to_string(worker->index) + " did not start");
  }
  std::vector<int> nodes;
  for (const auto& worker : workers)
    nodes.push_back(static_cast<int>(rte_lcore_to_socket_id(worker->lcore)));
  replicas.emplace(config.table_replicas, nodes);
  std::vector<Inquiry*> inquiries;
  for (const auto& worker : workers) inquiries.push_back(&worker->inquiry);
  asker = std::make_unique<Asker>(std::move(inquiries));
  watchdog.emplace(workers, config.watchdog_ms, config.alarm);
  return {};
}

rules::Result<std::unique_ptr<DpdkDataplane>> DpdkDataplane::open(const DpdkConfig& config) {
  auto ports = plan_ports(config.zones);
  if (!ports) return tl::unexpected(ports.error());
  auto cpus = parse_workers(config.workers);
  if (!cpus) return tl::unexpected(cpus.error());
  if (config.flows_max == 0 || config.flows_max > kFlowsMax) {
    return fail(ErrorCode::invalid, "flows-max must be from 1 to " + std::to_string(kFlowsMax));
  }
  if (config.datagrams_max == 0 || config.datagrams_max > FragmentTracker::kDatagramsMax) {
    return fail(ErrorCode::invalid, "datagrams-max must be from 1 to " +
                                        std::to_string(FragmentTracker::kDatagramsMax));
  }
  if (auto checked = check_devices(*ports); !checked) return tl::unexpected(checked.error());

  EalConfig eal{*cpus, {}, 0, config.huge_pages, config.eal};
  for (const Port& port : *ports) {
    if (is_pci_address(port.device)) eal.pci_devices.push_back(port.device);
    eal.memory_bytes += std::size_t{kMbufsPerPort} * (frame_room_bytes(port.device) + 384);
  }
  eal.memory_bytes +=
      cpus->size() * (FlowTable::size_bytes(config.flows_max) +
                      FragmentTracker::size_bytes(config.datagrams_max) + Tally::size_bytes());
  if (config.table_replicas != TableReplicas::shared)
    eal.memory_bytes += cpus->size() * kReplicaRoomBytes;
  if (auto started = start_eal(eal); !started) return tl::unexpected(started.error());

  auto parts = std::make_unique<Parts>();
  parts->shared.ports = std::move(*ports);
  parts->shared.workers = static_cast<unsigned>(cpus->size());
  for (const ZoneConfig& zone : config.zones) parts->zones.push_back(zone.name);
  if (auto memory = parts->open_memory(); !memory) return tl::unexpected(memory.error());
  const unsigned workers = parts->shared.workers;
  auto rss = open_ports(parts->shared.ports, workers, config.rss, parts->pool);
  if (!rss) return tl::unexpected(rss.error());
  parts->ports_open = true;
  parts->spreads_by_ports = rss->has_value();
  parts->shared.owner = *rss ? FlowOwner(workers, **rss) : FlowOwner(workers, draw_secret());
  if (auto running = parts->open_workers(config); !running) return tl::unexpected(running.error());
  return std::unique_ptr<DpdkDataplane>(new DpdkDataplane(std::move(parts)));
}

DpdkDataplane::DpdkDataplane(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
DpdkDataplane::~DpdkDataplane() = default;

bool DpdkDataplane::spreads_by_ports() const {
  return parts_->spreads_by_ports;
}

std::vector<std::string> DpdkDataplane::zones() const {
  return parts_->zones;
}

rules::Result<SwapReport> DpdkDataplane::publish(std::shared_ptr<const Snapshot> snapshot) {
  auto snapshots = parts_->replicas->make(snapshot);
  if (!snapshots) return tl::unexpected(snapshots.error());
  const auto begin = Clock::now();
  for (std::size_t i = 0; i < snapshots->size(); ++i)
    parts_->workers[i]->snapshot.store((*snapshots)[i].get(), std::memory_order_release);
  parts_->held.push_back(std::move(*snapshots));
  const auto deadline = begin + kGracePeriodMax;
  std::vector<std::uint64_t> rounds;
  for (const auto& worker : parts_->workers)
    rounds.push_back(worker->rounds.load(std::memory_order_relaxed));
  // Nobody uses the old table, and everybody has taken the new one.
  bool in_force = parts_->wait_for_round(deadline);
  while (in_force && !parts_->all_run(snapshot->generation())) {
    in_force = Clock::now() < deadline;
    std::this_thread::yield();
  }
  // What the old one let pass has left.
  if (!in_force || !parts_->drain_passed(deadline)) {
    return fail(ErrorCode::unavailable,
                parts_->silent_since(rounds) +
                    " does not answer: the change is in force on the others only; restart sluiced");
  }
  parts_->held.erase(parts_->held.begin(), parts_->held.end() - 1);
  const auto swap_ns = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count());
  return SwapReport{swap_ns, parts_->gather(snapshot->generation(), &Worker::fates)};
}

FateCounts DpdkDataplane::preview(std::shared_ptr<const Snapshot> snapshot) {
  const std::uint64_t number = ++parts_->previews;
  auto request = std::make_unique<PreviewRequest>(PreviewRequest{snapshot.get(), number});
  for (const auto& worker : parts_->workers)
    worker->preview_request.store(request.get(), std::memory_order_release);
  FateCounts counts = parts_->gather(number, &Worker::preview);
  counts.generation = snapshot->generation();
  for (const auto& worker : parts_->workers)
    worker->preview_request.store(nullptr, std::memory_order_release);
  parts_->asked.emplace_back(std::move(request), std::move(snapshot));
  if (parts_->wait_for_round(Clock::now() + kGracePeriodMax)) parts_->asked.clear();
  return counts;
}

std::vector<WorkerReport> DpdkDataplane::workers() const {
  std::vector<WorkerReport> reports;
  for (const auto& worker : parts_->workers) {
    reports.push_back({worker->lcore, worker->generation.load(std::memory_order_relaxed),
                       worker->counts.read(), parts_->watchdog->silent_ms(worker->index),
                       parts_->watchdog->is_hung(worker->index), worker->capture.skipped()});
  }
  return reports;
}

std::vector<PortReport> DpdkDataplane::ports() const {
  std::vector<PortReport> reports;
  for (const Port& port : parts_->shared.ports) reports.push_back(report_port(port));
  return reports;
}

FlowPage DpdkDataplane::flows(const FlowFilter& filter, FlowCursor from, std::size_t limit) {
  return parts_->asker->flows(filter, from, limit);
}

std::optional<FlowReport> DpdkDataplane::flow(const FlowKey& key) {
  return parts_->asker->flow(key);
}

TrafficReport DpdkDataplane::traffic() {
  return parts_->asker->traffic();
}

void DpdkDataplane::forget_counts_but_of(std::vector<rules::LbId> lbs,
                                         std::vector<rules::RuleId> rules) {
  parts_->asker->forget_counts_but_of(std::move(lbs), std::move(rules));
}

std::vector<DropRecord> DpdkDataplane::take_drops(std::size_t max) {
  std::vector<DropRecord> records;
  const TimeNs worker_now = worker_clock_ns();
  const auto wall_now = static_cast<TimeNs>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                                std::chrono::system_clock::now().time_since_epoch())
                                                .count());
  for (const auto& worker : parts_->workers) {
    DropRecord record;
    while (records.size() < max && worker->capture.take(record)) {
      // The worker's clock counts from the start of the machine.
      const TimeNs ago = worker_now - std::min(worker_now, record.time_ns);
      record.time_ns = wall_now - ago;
      records.push_back(record);
    }
  }
  return records;
}

}  // namespace sluice::dataplane::dpdk
