// SPDX-License-Identifier: Apache-2.0
//
// The data plane over DPDK: ports, poll-mode workers, and the swap of snapshots between them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/dataplane.h"
#include "dataplane/dpdk/replicas.h"

namespace sluice::dataplane::dpdk {

// A pair of ports, plus a VLAN id where several zones share a pair.
struct ZoneConfig {
  std::string name;
  std::string outside;  // a PCI address, or devargs such as "net_af_packet0,iface=eth1"
  std::string inside;
  std::optional<std::uint16_t> vlan;  // 1 .. 4094; none: untagged frames
};

// A worker that stopped making rounds, or makes them again.
struct WorkerAlarm {
  unsigned worker = 0;
  unsigned lcore = 0;
  std::uint64_t silent_ms = 0;  // for so long it made none
  bool hangs = false;           // false: it goes on
};

struct DpdkConfig {
  std::vector<ZoneConfig> zones;
  std::string workers = "1";           // a count, or a list of lcores such as "2,4-6"
  std::string eal;                     // further EAL arguments, split at spaces
  std::uint32_t flows_max = 1u << 20;  // per worker
  std::uint32_t datagrams_max = 8192;  // in fragments, per worker
  bool huge_pages = true;
  TableReplicas table_replicas = TableReplicas::per_node;
  std::uint32_t watchdog_ms = 1000;               // a worker without a round for so long hangs
  std::function<void(const WorkerAlarm&)> alarm;  // called on a thread of the data plane
  std::uint32_t drop_records_per_s = 64;          // samples of drops, of each reason and worker
  bool rss = true;  // let ports spread frames over the workers where all of them can
};

class DpdkDataplane final : public Dataplane {
 public:
  // Opens EAL and the ports and starts the workers; nothing is forwarded before the first publish.
  // Error: system, one sentence that names the device or resource and says what to do.
  [[nodiscard]] static rules::Result<std::unique_ptr<DpdkDataplane>> open(const DpdkConfig& config);
  ~DpdkDataplane() override;  // stops the workers, then the ports: fail closed

  // The ports spread frames over the workers; else workers hand frames to each other.
  [[nodiscard]] bool spreads_by_ports() const;

  [[nodiscard]] std::vector<std::string> zones() const override;
  [[nodiscard]] rules::Result<SwapReport> publish(
      std::shared_ptr<const Snapshot> snapshot) override;
  [[nodiscard]] FateCounts preview(std::shared_ptr<const Snapshot> snapshot) override;
  [[nodiscard]] std::vector<WorkerReport> workers() const override;
  [[nodiscard]] std::vector<PortReport> ports() const override;
  [[nodiscard]] FlowPage flows(const FlowFilter& filter, FlowCursor from,
                               std::size_t limit) override;
  [[nodiscard]] std::optional<FlowReport> flow(const FlowKey& key) override;
  [[nodiscard]] TrafficReport traffic() override;
  void forget_counts_but_of(std::vector<rules::LbId> lbs,
                            std::vector<rules::RuleId> rules) override;
  [[nodiscard]] std::vector<DropRecord> take_drops(std::size_t max) override;

 private:
  struct Parts;
  explicit DpdkDataplane(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace sluice::dataplane::dpdk
