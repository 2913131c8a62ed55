// SPDX-License-Identifier: Apache-2.0
//
// How many live flows a table that is not in force would end, keep or drain: FlowReview's question,
// asked without a mark on any flow.
//
// Owner: one worker. Cost: nothing while nobody asks; a lookup a flow when somebody does.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/fate_counts.h"
#include "dataplane/flow_table.h"
#include "dataplane/snapshot.h"

namespace sluice::dataplane {

// One question; `number` tells it from the one before.
struct PreviewRequest {
  const Snapshot* snapshot = nullptr;
  std::uint64_t number = 0;
};

class FlowPreview {
 public:
  explicit FlowPreview(const FlowTable& flows) noexcept : flows_(flows) {}

  // Counts on in the next `cells` cells; a new question begins anew. True: the counts changed.
  bool go_on(const PreviewRequest& request, std::size_t cells) noexcept;

  // `generation` is the number of the question.
  [[nodiscard]] const FateCounts& counts() const noexcept { return counts_; }

 private:
  [[nodiscard]] std::size_t count_some(const Snapshot& snapshot, std::size_t first,
                                       std::size_t last) noexcept;

  const FlowTable& flows_;
  std::size_t next_ = 0;
  FateCounts counts_;
};

}  // namespace sluice::dataplane
