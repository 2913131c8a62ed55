// SPDX-License-Identifier: Apache-2.0
//
// The other end of the workers' inquiries: questions to all of them, their answers as one.
//
// Owner:  any thread, one question at a time.
// Limits: a worker that does not answer within kSilentMax is left out and named; a listing of flows
//         takes no longer than kListMax, and says where it stopped.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
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
  static constexpr auto kSilentMax = std::chrono::milliseconds(500);
  static constexpr auto kListMax = std::chrono::seconds(2);

  // The inquiries outlive this.
  explicit Asker(std::vector<Inquiry*> workers);

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

  std::mutex mutex_;  // guards all
  std::vector<Inquiry*> workers_;
  // By worker, as one that is silent may still read them.
  std::vector<std::shared_ptr<const std::vector<std::uint32_t>>> kept_;
};

}  // namespace sluice::dataplane
