// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow_preview.h"

#include <algorithm>
#include <array>
#include <bit>

#include "dataplane/flow_review.h"

namespace sluice::dataplane {
namespace {

void add(FateCounts& counts, FlowFate fate, std::uint64_t flows) noexcept {
  switch (fate) {
    case FlowFate::cut:
      counts.cut += flows;
      return;
    case FlowFate::keep:
      counts.kept += flows;
      return;
    case FlowFate::drain:
      counts.draining += flows;
  }
}

}  // namespace

// One batch of lookups out of the cells first .. last - 1; where it ended.
std::size_t FlowPreview::count_some(const Snapshot& snapshot, std::size_t first,
                                    std::size_t last) noexcept {
  std::array<rules::PacketKey, rules::kBatchMax> keys;
  std::size_t count = 0, cell = first;
  for (; cell < last && count < keys.size(); ++cell) {
    const Flow* flow = flows_.at(static_cast<FlowIndex>(cell));
    // As FlowReview: what ends anyway, or was promised to go on, does not depend on a change.
    if (flow == nullptr || (flow->flags & (kFlowKept | kFlowRefused | kFlowEnded))) continue;
    const FlowKey key = flows_.key_of(*flow);
    const rules::LbMatch lb =
        snapshot.table->find_lb(key.zone, {key.local_high, key.local_low, key.family});
    if (lb.lb == 0) {
      add(counts_, snapshot.flows.fate, 1);
      continue;
    }
    keys[count++] = opener_key(key, opener_of(*flow), lb.policy);
  }
  const std::uint64_t allowed = snapshot.table->allows_batch({keys.data(), count});
  add(counts_, snapshot.flows.fate, count - static_cast<std::uint64_t>(std::popcount(allowed)));
  return cell;
}

bool FlowPreview::go_on(const PreviewRequest& request, std::size_t cells) noexcept {
  if (counts_.generation != request.number) {
    counts_ = {request.number, 0, 0, 0, 0};
    next_ = 0;
  }
  if (counts_.complete != 0) return false;
  const std::size_t used = flows_.used();
  const std::size_t last = std::min(next_ + cells, used);
  while (next_ < last) next_ = count_some(*request.snapshot, next_, last);
  if (next_ >= used) counts_.complete = 1;
  return true;
}

}  // namespace sluice::dataplane
