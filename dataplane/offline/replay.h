// SPDX-License-Identifier: Apache-2.0
//
// The production pipeline over packets of files, with their timestamps as the clock.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/pipeline.h"
#include "rules/result.h"

namespace sluice::dataplane::offline {

// One packet of an input, ready to judge.
struct Input {
  TimeNs time_ns = 0;
  Side side = Side::outside;
  std::vector<std::uint8_t> bytes;
};

// Pcap and pcapng files of Ethernet. Error: invalid or system, the file named.
[[nodiscard]] rules::Result<std::vector<Input>> read_pcap(const std::string& path, Side side);

// Merges by timestamp; equal timestamps: outside first, then file order.
[[nodiscard]] std::vector<Input> merge(std::vector<Input> outside, std::vector<Input> inside);

// A worker's pipeline and flow table on the heap. Owner: the calling thread.
class Replay {
 public:
  explicit Replay(std::uint32_t flows_max, HashSecret secret = {});
  ~Replay();
  // The zone 0 carries untagged frames unless told otherwise.
  void set_vlan(std::uint16_t vlan, std::uint16_t zone);
  void publish(std::shared_ptr<const Snapshot> snapshot);
  // Judges one packet as a burst of one.
  [[nodiscard]] Verdict judge(const Input& input);
  [[nodiscard]] Counts counts() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace sluice::dataplane::offline
