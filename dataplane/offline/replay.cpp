// SPDX-License-Identifier: Apache-2.0
#include "dataplane/offline/replay.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <new>

namespace sluice::dataplane::offline {

std::vector<Input> merge(std::vector<Input> outside, std::vector<Input> inside) {
  std::vector<Input> all(std::move(outside));
  all.insert(all.end(), std::make_move_iterator(inside.begin()),
             std::make_move_iterator(inside.end()));
  std::stable_sort(all.begin(), all.end(),
                   [](const Input& a, const Input& b) { return a.time_ns < b.time_ns; });
  return all;
}

struct Replay::Parts {
  struct Free {
    void operator()(std::byte* bytes) const { ::operator delete[](bytes, std::align_val_t{64}); }
  };
  std::unique_ptr<std::byte[], Free> memory;
  FlowTable flows;
  Pipeline pipeline;
  std::array<std::uint16_t, kVlans> zones;
  std::shared_ptr<const Snapshot> snapshot;
  Counts counts;
  bool has_begun = false;
  TimeNs last_ns = 0;  // time of the last burst

  Parts(std::uint32_t flows_max, HashSecret secret)
      : memory(static_cast<std::byte*>(
            ::operator new[](FlowTable::size_bytes(flows_max), std::align_val_t{64}))),
        flows({memory.get(), FlowTable::size_bytes(flows_max)}, flows_max, secret),
        pipeline(flows) {
    zones.fill(kNoZone);
    zones[0] = 0;
  }
};

Replay::Replay(std::uint32_t flows_max, HashSecret secret)
    : parts_(std::make_unique<Parts>(flows_max, secret)) {}
Replay::~Replay() = default;

void Replay::set_zone(std::uint16_t vlan, std::uint16_t zone) {
  parts_->zones[vlan] = zone;
}

FateCounts Replay::publish(std::shared_ptr<const Snapshot> snapshot) {
  Parts& parts = *parts_;
  parts.snapshot = std::move(snapshot);
  // Time begins with the first packet; before it there is nothing to judge.
  if (!parts.has_begun) return {parts.snapshot->generation(), 0, 0, 0, 1};
  parts.pipeline.judge(parts.snapshot.get(), {}, {}, parts.last_ns, {});
  parts.pipeline.review_all();
  return parts.pipeline.fates();
}

void Replay::judge(std::span<const Input> burst, std::span<Verdict> verdicts) {
  if (burst.empty()) return;
  std::array<Frame, kBurstMax> frames;
  for (std::size_t i = 0; i < burst.size(); ++i)
    frames[i] = {burst[i].bytes.data(), static_cast<std::uint32_t>(burst[i].bytes.size())};
  const Ingress ingress{burst[0].side, parts_->zones.data()};
  parts_->has_begun = true;
  parts_->last_ns = burst.back().time_ns;
  parts_->pipeline.judge(parts_->snapshot.get(), ingress, {frames.data(), burst.size()},
                         burst.back().time_ns, verdicts.first(burst.size()));
  for (std::size_t i = 0; i < burst.size(); ++i)
    parts_->counts.add(verdicts[i].reason, frames[i].size);
}

Verdict Replay::judge(const Input& input) {
  Verdict verdict;
  judge({&input, 1}, {&verdict, 1});
  return verdict;
}

Counts Replay::counts() const {
  Counts counts = parts_->counts;
  parts_->pipeline.report(counts);
  return counts;
}

}  // namespace sluice::dataplane::offline
