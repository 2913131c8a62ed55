// SPDX-License-Identifier: Apache-2.0
//
// The recent drops, explained and numbered: what GET /drops/ shows and the stream of drops tells.
//
// Owner:  the observer adds, any thread reads.
// Limits: kDropsKept; the oldest go.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "control/state.h"
#include "dataplane/capture.h"
#include "dataplane/snapshot.h"
#include "rules/json.h"

namespace sluice::control {

inline constexpr std::size_t kDropsKept = 4096;

struct Drop {
  std::uint64_t id = 0;  // grows; greater than any of an earlier life of the daemon
  dataplane::DropRecord record;
  rules::Json json;  // as it is answered
};

struct DropFilter {
  std::optional<rules::LbId> lb;  // 0: of none
  std::optional<dataplane::DropReason> reason;
  std::optional<rules::Direction> direction;
  [[nodiscard]] bool wants(const dataplane::DropRecord& record) const;
};

[[nodiscard]] rules::Direction direction_of(const dataplane::DropRecord& record);

class DropHistory {
 public:
  DropHistory();

  // Explained by the snapshot, which may be newer than the one that dropped it; `state` for names.
  std::shared_ptr<const Drop> add(const dataplane::DropRecord& record,
                                  const dataplane::Snapshot& snapshot, const State& state);
  // The newest that the filter wants, newest first.
  [[nodiscard]] std::vector<std::shared_ptr<const Drop>> recent(const DropFilter& filter,
                                                                std::size_t limit) const;

 private:
  mutable std::mutex mutex_;  // guards what follows
  std::deque<std::shared_ptr<const Drop>> drops_;
  std::uint64_t last_id_ = 0;
};

}  // namespace sluice::control
