// SPDX-License-Identifier: Apache-2.0
#include "dataplane/inquiry.h"

#include <algorithm>

#include "dataplane/flow_review.h"

namespace sluice::dataplane {
namespace {

// Looks with each round: as many as a burst's time allows while packets come.
constexpr std::uint32_t kLooks = 64;
constexpr std::uint32_t kLooksIdle = 2048;

rules::Address local_of(const FlowKey& key) {
  return {key.local_high, key.local_low, key.family};
}
rules::Address remote_of(const FlowKey& key) {
  return {key.remote_high, key.remote_low, key.family};
}

rules::LbId lb_of(const FlowKey& key, const Snapshot* snapshot) noexcept {
  return snapshot == nullptr ? 0 : snapshot->table->find_lb(key.zone, local_of(key)).lb;
}

bool fits(const FlowFilter& filter, const Flow& flow, const FlowKey& key,
          const Snapshot* snapshot) noexcept {
  if (!((filter.states >> static_cast<int>(flow.state)) & 1)) return false;
  if (filter.protocol && *filter.protocol != key.protocol) return false;
  if (filter.port && *filter.port != key.local_port && *filter.port != key.remote_port)
    return false;
  if (filter.local && !filter.local->contains(local_of(key))) return false;
  if (filter.remote && !filter.remote->contains(remote_of(key))) return false;
  return !filter.lb || *filter.lb == lb_of(key, snapshot);
}

FlowOutlook outlook_of(const Flow& flow, std::uint32_t now_s) noexcept {
  if (flow.flags & kFlowRefused) return FlowOutlook::cut;
  if (flow.flags & kFlowDraining)
    return now_s <= flow.drain_until_s ? FlowOutlook::draining : FlowOutlook::cut;
  return flow.flags & kFlowKept ? FlowOutlook::kept : FlowOutlook::allowed;
}

FlowReport report_of(const Flow& flow, const FlowKey& key, const FlowTable& flows,
                     const Snapshot* snapshot, std::uint8_t worker) noexcept {
  FlowReport report;
  report.key = key;
  report.lb = lb_of(key, snapshot);
  report.rule = flow.rule;
  // A flow keeps the low half; none is older than 2^32 generations.
  const std::uint64_t current = snapshot == nullptr ? 0 : snapshot->generation();
  report.generation = current - static_cast<std::uint32_t>(current - flow.generation);
  report.idle_s = flows.now_s() - flow.seen_s;
  report.idle_left_s = flows.idle_left_s(flow);
  report.state = flow.state;
  report.outlook = outlook_of(flow, flows.now_s());
  if (report.outlook == FlowOutlook::draining)
    report.drain_left_s = flow.drain_until_s - flows.now_s();
  report.opener = opener_of(flow);
  report.is_replied = flow.flags & kFlowReplied;
  report.is_rule_stale = flow.flags & kFlowRuleStale;
  report.worker = worker;
  return report;
}

}  // namespace

Inquiry::Inquiry(std::uint8_t worker) : worker_(worker) {
  answer_.flows.reserve(kFlowsMax);
  answer_.lbs.reserve(kLbsMax);
  answer_.rules.reserve(kRulesMax);
}

bool Inquiry::ask(const Question& question) {
  if (is_asked()) return false;
  question_ = question;
  answer_.flows.clear();
  answer_.lbs.clear();
  answer_.rules.clear();
  answer_.matched = 0;
  answer_.behind_last = question.from;
  at_ = question.from;
  looks_ = 0;
  turn_.store(Turn::worker, std::memory_order_release);
  return true;
}

void Inquiry::finish(std::uint32_t next, bool is_end) noexcept {
  answer_.next = next;
  answer_.is_end = is_end;
  turn_.store(Turn::asker, std::memory_order_release);
}

std::uint32_t Inquiry::end_of(const FlowTable& flows, const Tally& tally) const noexcept {
  switch (question_.topic) {
    case InquiryTopic::flows:
      return flows.used();
    case InquiryTopic::lb_counts:
    case InquiryTopic::forget_lbs:
      return tally.lb_entries();
    default:
      return tally.rule_entries();
  }
}

void Inquiry::serve(FlowTable& flows, Tally& tally, const Snapshot* snapshot,
                    bool is_idle) noexcept {
  if (question_.topic == InquiryTopic::flow) return find_flow(flows, snapshot);
  const std::uint32_t end = end_of(flows, tally);
  for (std::uint32_t i = is_idle ? kLooksIdle : kLooks; i > 0 && at_ < end; --i) {
    if (looks_ == kLooksMax || !look_at(at_, flows, tally, snapshot)) return finish(at_, false);
    ++at_;
    ++looks_;
  }
  if (at_ >= end) finish(at_, true);
}

bool Inquiry::look_at(std::uint32_t index, const FlowTable& flows, Tally& tally,
                      const Snapshot* snapshot) noexcept {
  switch (question_.topic) {
    case InquiryTopic::flow:
      return true;
    case InquiryTopic::flows:
      return look_at_flow(index, flows, snapshot);
    case InquiryTopic::lb_counts: {
      LbReport report;
      if (!tally.lb_report(index, report)) return true;
      if (answer_.lbs.size() == kLbsMax) return false;
      answer_.lbs.push_back(report);
      return true;
    }
    case InquiryTopic::rule_counts: {
      RuleCounts report;
      if (!tally.rule_report(index, report)) return true;
      if (answer_.rules.size() == kRulesMax) return false;
      answer_.rules.push_back(report);
      return true;
    }
    case InquiryTopic::forget_lbs:
      tally.forget_lb_unless(index, question_.keep);
      return true;
    case InquiryTopic::forget_rules:
      tally.forget_rule_unless(index, question_.keep);
      return true;
  }
  return true;
}

bool Inquiry::look_at_flow(std::uint32_t cell, const FlowTable& flows,
                           const Snapshot* snapshot) noexcept {
  const Flow* flow = flows.at(cell);
  // One that a change has ended is remembered, but no longer live.
  if (flow == nullptr || (flow->flags & kFlowEnded)) return true;
  const FlowKey key = flows.key_of(*flow);
  if (!fits(question_.filter, *flow, key, snapshot)) return true;
  const std::size_t wanted = std::min<std::size_t>(question_.flows_max, kFlowsMax);
  if (answer_.flows.size() == wanted && question_.flows_max > kFlowsMax) return false;
  ++answer_.matched;
  if (answer_.flows.size() < wanted) {
    answer_.flows.push_back(report_of(*flow, key, flows, snapshot, worker_));
    answer_.behind_last = cell + 1;
  }
  return true;
}

void Inquiry::find_flow(FlowTable& flows, const Snapshot* snapshot) noexcept {
  const Flow* flow = flows.find(question_.key, flows.hash(question_.key));
  if (flow != nullptr && !(flow->flags & kFlowEnded)) {
    ++answer_.matched;
    answer_.flows.push_back(report_of(*flow, question_.key, flows, snapshot, worker_));
  }
  finish(0, true);
}

}  // namespace sluice::dataplane
