// SPDX-License-Identifier: Apache-2.0
#include "dataplane/offline/replay.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace sluice::dataplane::offline {

std::vector<Input> merge(std::vector<Input> outside, std::vector<Input> inside) {
  std::vector<Input> all(std::move(outside));
  all.insert(all.end(), std::make_move_iterator(inside.begin()),
             std::make_move_iterator(inside.end()));
  std::stable_sort(all.begin(), all.end(),
                   [](const Input& a, const Input& b) { return a.time_ns < b.time_ns; });
  return all;
}

namespace {

// Zeroed by those who need it.
class Memory {
 public:
  explicit Memory(std::size_t size)
      : bytes_(static_cast<std::byte*>(::operator new[](size, std::align_val_t{64}))),
        size_(size) {}
  [[nodiscard]] std::span<std::byte> span() const { return {bytes_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::byte* bytes) const { ::operator delete[](bytes, std::align_val_t{64}); }
  };
  std::unique_ptr<std::byte[], Free> bytes_;
  std::size_t size_;
};

}  // namespace

struct Replay::Parts {
  Memory flow_memory;
  Memory fragment_memory;
  FlowTable flows;
  FragmentTracker fragments;
  Pipeline pipeline;
  std::array<std::uint16_t, kVlans> zones;
  std::shared_ptr<const Snapshot> snapshot;
  Counts counts;
  bool has_begun = false;
  TimeNs last_ns = 0;  // time of the last burst

  std::uint64_t judged = 0;
  std::vector<Released> released;

  Parts(std::uint32_t flows_max, HashSecret secret, std::uint32_t datagrams_max)
      : flow_memory(FlowTable::size_bytes(flows_max)),
        fragment_memory(FragmentTracker::size_bytes(datagrams_max)),
        flows(flow_memory.span(), flows_max, secret),
        fragments(fragment_memory.span(), datagrams_max, secret),
        pipeline(flows, fragments) {
    zones.fill(kNoZone);
    zones[0] = 0;
  }

  void collect_released() {
    ReleasedFrame frame;
    while (pipeline.next_released(frame)) {
      counts.add(frame.verdict.reason, frame.size_bytes);
      released.push_back({frame.ticket, frame.verdict});
    }
  }
};

Replay::Replay(std::uint32_t flows_max, HashSecret secret, std::uint32_t datagrams_max)
    : parts_(std::make_unique<Parts>(flows_max, secret, datagrams_max)) {}
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
    frames[i] = {burst[i].bytes.data(), static_cast<std::uint32_t>(burst[i].bytes.size()),
                 parts_->judged++};
  const Ingress ingress{burst[0].side, parts_->zones.data()};
  parts_->has_begun = true;
  parts_->last_ns = burst.back().time_ns;
  parts_->pipeline.judge(parts_->snapshot.get(), ingress, {frames.data(), burst.size()},
                         burst.back().time_ns, verdicts.first(burst.size()));
  for (std::size_t i = 0; i < burst.size(); ++i)
    if (!verdicts[i].is_held) parts_->counts.add(verdicts[i].reason, frames[i].size);
  parts_->collect_released();
}

void Replay::pass_time(TimeNs now) {
  const Ingress ingress{Side::outside, parts_->zones.data()};
  parts_->last_ns = now;
  parts_->pipeline.judge(parts_->snapshot.get(), ingress, {}, now, {});
  parts_->collect_released();
}

void Replay::finish() {
  parts_->pipeline.drop_held();
  parts_->collect_released();
}

std::vector<Released> Replay::take_released() {
  return std::exchange(parts_->released, {});
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
