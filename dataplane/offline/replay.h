// SPDX-License-Identifier: Apache-2.0
//
// The production pipeline over packets of files, with their timestamps as the clock.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "dataplane/offline/pcap_file.h"
#include "dataplane/pipeline.h"

namespace sluice::dataplane::offline {

// Merges by timestamp; equal timestamps: outside first, then file order.
[[nodiscard]] std::vector<Input> merge(std::vector<Input> outside, std::vector<Input> inside);

// A worker's pipeline and flow table on the heap. Owner: the calling thread.
class Replay {
 public:
  // Zone 0 carries untagged frames and, until told otherwise, nothing else.
  explicit Replay(std::uint32_t flows_max, HashSecret secret = {});
  ~Replay();
  // Frames with this VLAN id (0: untagged) belong to the zone; kNoZone: to none.
  void set_zone(std::uint16_t vlan, std::uint16_t zone);
  // In force from here on; live flows are judged again at once. What becomes of them.
  FateCounts publish(std::shared_ptr<const Snapshot> snapshot);

  // A burst of inputs of one side, at most kBurstMax, at the time of the last of them.
  void judge(std::span<const Input> burst, std::span<Verdict> verdicts);
  [[nodiscard]] Verdict judge(const Input& input);
  [[nodiscard]] Counts counts() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace sluice::dataplane::offline
