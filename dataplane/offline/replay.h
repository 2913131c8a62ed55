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

// A frame that was held and now has its verdict.
struct Released {
  std::uint64_t number = 0;  // of the input, counted from 0 in the order they were judged
  Verdict verdict;
};

// A worker's pipeline and flow table on the heap. Owner: the calling thread.
class Replay {
 public:
  // Zone 0 carries untagged frames and, until told otherwise, nothing else.
  explicit Replay(std::uint32_t flows_max, HashSecret secret = {},
                  std::uint32_t datagrams_max = 1024);
  ~Replay();
  // Frames with this VLAN id (0: untagged) belong to the zone; kNoZone: to none.
  void set_zone(std::uint16_t vlan, std::uint16_t zone);
  // In force from here on; live flows are judged again at once. What becomes of them.
  FateCounts publish(std::shared_ptr<const Snapshot> snapshot);

  // A burst of inputs of one side, at most kBurstMax, at the time of the last of them. What is_held
  // comes back by take_released().
  void judge(std::span<const Input> burst, std::span<Verdict> verdicts);
  [[nodiscard]] Verdict judge(const Input& input);
  // As a worker without packets does: time passes, flows and held frames grow old.
  void pass_time(TimeNs now);
  // Drops what is still held: there is no more to come.
  void finish();
  // Frames disposed of since the last call, in the order they would leave.
  [[nodiscard]] std::vector<Released> take_released();
  [[nodiscard]] Counts counts() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace sluice::dataplane::offline
