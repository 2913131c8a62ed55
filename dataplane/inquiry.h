// SPDX-License-Identifier: Apache-2.0
//
// What control asks of a worker: a slice of its flows, copies of its counts. The worker answers
// between bursts, a bounded piece a round, so that nobody reads its tables but itself.
//
// How it works. There is one question and one answer, and `turn_` says whose they are. The asker
// writes the question and gives the turn away; the worker, a few cells with each of its rounds,
// fills the answer and gives the turn back. A worker that hangs keeps the turn: nothing is asked of
// it until it goes on.
//
// Owner: by turns. Cost: to the worker one load a round while nobody asks.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dataplane/flow_report.h"
#include "dataplane/flow_table.h"
#include "dataplane/snapshot.h"
#include "dataplane/tally.h"

namespace sluice::dataplane {

enum class InquiryTopic : std::uint8_t {
  flows,         // that the filter lets through, from cell `from` on
  flow,          // the one with `key`
  lb_counts,     // from entry `from` on
  rule_counts,   // the same
  forget_lbs,    // counts of all but those in `keep`
  forget_rules,  // the same
};

struct Question {
  InquiryTopic topic = InquiryTopic::flows;
  std::uint32_t from = 0;
  std::uint32_t flows_max = 0;  // reports wanted; matches beyond them are counted
  FlowFilter filter;
  FlowKey key;
  std::span<const std::uint32_t> keep;  // sorted; the asker's until the answer
};

struct Answer {
  std::uint32_t next = 0;  // where the rest begins
  bool is_end = false;     // there is no rest
  std::uint64_t matched = 0;
  // The cell behind the last flow reported: where a listing that wants no more goes on.
  std::uint32_t behind_last = 0;
  std::vector<FlowReport> flows;  // these never grow beyond what was reserved at the start
  std::vector<LbReport> lbs;
  std::vector<RuleCounts> rules;
};

class Inquiry {
 public:
  static constexpr std::size_t kFlowsMax = 256;
  static constexpr std::size_t kLbsMax = 64;
  static constexpr std::size_t kRulesMax = 1024;
  // Cells, or entries, looked at for one question: the asker hears from the worker that often.
  static constexpr std::uint32_t kLooksMax = 1u << 16;

  explicit Inquiry(std::uint8_t worker);

  // The asker. False: the worker still has the question before.
  [[nodiscard]] bool ask(const Question& question);
  // Null: not yet. Valid until the next ask().
  [[nodiscard]] const Answer* answer() const {
    return turn_.load(std::memory_order_acquire) == Turn::asker ? &answer_ : nullptr;
  }

  // The worker.
  [[nodiscard]] bool is_asked() const noexcept {
    return turn_.load(std::memory_order_acquire) == Turn::worker;
  }
  // A piece of the answer. `is_idle`: there are no packets to keep waiting.
  void serve(FlowTable& flows, Tally& tally, const Snapshot* snapshot, bool is_idle) noexcept;

 private:
  enum class Turn : std::uint8_t { asker, worker };

  // Each: an entry; false: there is no room in the answer for more.
  [[nodiscard]] std::uint32_t end_of(const FlowTable& flows, const Tally& tally) const noexcept;
  [[nodiscard]] bool look_at(std::uint32_t index, const FlowTable& flows, Tally& tally,
                             const Snapshot* snapshot) noexcept;
  [[nodiscard]] bool look_at_flow(std::uint32_t cell, const FlowTable& flows,
                                  const Snapshot* snapshot) noexcept;
  void find_flow(FlowTable& flows, const Snapshot* snapshot) noexcept;
  void finish(std::uint32_t next, bool is_end) noexcept;

  const std::uint8_t worker_;
  Question question_;                                // by turns
  Answer answer_;                                    // by turns
  std::uint32_t at_ = 0;                             // worker
  std::uint32_t looks_ = 0;                          // worker
  alignas(64) std::atomic<Turn> turn_{Turn::asker};  // whose turn it is gives it away
};

}  // namespace sluice::dataplane
