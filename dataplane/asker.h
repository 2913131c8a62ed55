// SPDX-License-Identifier: Apache-2.0
//
// The other end of the workers' inquiries: questions to all of them, their answers as one.
//
// Owner:  any thread, one question at a time.
// Limits: a worker that does not answer in time is left out and named; a listing of flows that
//         takes too long says where it stopped (Patience).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "dataplane/inquiry.h"

namespace sluice::dataplane {

struct FlowPage {
  std::vector<FlowReport> flows;
  std::uint64_t matched = 0;  // from the cursor on, those beyond the limit too
  bool is_counted_to_the_end = false;
  std::optional<FlowCursor> next;  // nothing: all that matched were reported
  std::vector<unsigned> silent_workers;
};

// Sums over the workers, by id. The first LB is 0 (packets of none) if there are any of it, the
// last kOthers.
struct TrafficReport {
  std::vector<LbReport> lbs;
  std::vector<RuleCounts> rules;
  std::vector<unsigned> silent_workers;
};

class Asker {
 public:
  // How long one answer, and a listing of flows in all, is waited for.
  struct Patience {
    std::chrono::milliseconds answer{500};
    std::chrono::milliseconds listing{2000};
  };

  // The inquiries outlive this.
  explicit Asker(std::vector<Inquiry*> workers) : Asker(std::move(workers), Patience{}) {}
  Asker(std::vector<Inquiry*> workers, Patience patience);

  [[nodiscard]] FlowPage flows(const FlowFilter& filter, FlowCursor from, std::size_t limit);
  // The live flow with that key; a worker's silence is none.
  [[nodiscard]] std::optional<FlowReport> flow(const FlowKey& key);
  [[nodiscard]] TrafficReport traffic();
  // Counts of ids that are not among these (sorted) go to the others; ids are never used twice.
  void forget_counts_but_of(std::vector<rules::LbId> lbs, std::vector<rules::RuleId> rules);

 private:
  // Null: silent.
  [[nodiscard]] const Answer* ask(std::size_t worker, const Question& question);
  // All entries of a topic, piece by piece. False: silent.
  [[nodiscard]] bool ask_all(std::size_t worker, InquiryTopic topic,
                             const std::function<void(const Answer&)>& each);
  void forget(InquiryTopic topic, std::vector<std::uint32_t> keep);

  const Patience patience_;
  std::mutex mutex_;  // guards all that follows
  std::vector<Inquiry*> workers_;
  // By worker, as one that is silent may still read them.
  std::vector<std::shared_ptr<const std::vector<std::uint32_t>>> kept_;
};

}  // namespace sluice::dataplane
