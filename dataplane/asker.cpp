// SPDX-License-Identifier: Apache-2.0
#include "dataplane/asker.h"

#include <algorithm>
#include <map>
#include <thread>
#include <utility>

namespace sluice::dataplane {
namespace {

using Clock = std::chrono::steady_clock;

// Most answers take microseconds.
constexpr int kYields = 200;
constexpr auto kNap = std::chrono::microseconds(20);

void wait_a_little(int tries) {
  if (tries < kYields) {
    std::this_thread::yield();
  } else {
    std::this_thread::sleep_for(kNap);
  }
}

void add(LbReport& sum, const LbReport& report) {
  sum.passed.id = report.passed.id;
  sum.passed += report.passed;
  for (std::size_t direction = 0; direction < 2; ++direction)
    for (std::size_t i = 0; i < kDropReasons; ++i)
      sum.dropped[direction][i] += report.dropped[direction][i];
}

void add(RuleCounts& sum, const RuleCounts& report) {
  sum.id = report.id;
  if (report.group != 0) sum.group = report.group;
  sum += report;
}

template <class Report>
std::vector<Report> values_of(const std::map<std::uint32_t, Report>& sums) {
  std::vector<Report> reports;
  for (const auto& [id, report] : sums) reports.push_back(report);
  return reports;
}

}  // namespace

Asker::Asker(std::vector<Inquiry*> workers, Patience patience)
    : patience_(patience), workers_(std::move(workers)), kept_(workers_.size()) {}

const Answer* Asker::ask(std::size_t worker, const Question& question) {
  Inquiry& inquiry = *workers_[worker];
  if (!inquiry.ask(question)) return nullptr;
  const auto deadline = Clock::now() + patience_.answer;
  for (int tries = 0;; ++tries) {
    if (const Answer* answer = inquiry.answer()) return answer;
    if (tries > kYields && Clock::now() > deadline) return nullptr;
    wait_a_little(tries);
  }
}

FlowPage Asker::flows(const FlowFilter& filter, FlowCursor from, std::size_t limit) {
  const std::lock_guard lock(mutex_);
  const auto deadline = Clock::now() + patience_.listing;
  FlowPage page;
  std::optional<FlowCursor> behind_last;  // of the flow that filled the page
  Question question;
  question.filter = filter;
  question.from = from.cell;
  for (std::size_t worker = from.worker; worker < workers_.size();) {
    const auto index = static_cast<std::uint32_t>(worker);
    question.flows_max = static_cast<std::uint32_t>(limit - page.flows.size());
    const Answer* answer = ask(worker, question);
    if (answer == nullptr) {
      page.silent_workers.push_back(index);
    } else {
      page.matched += answer->matched;
      page.flows.insert(page.flows.end(), answer->flows.begin(), answer->flows.end());
      if (page.flows.size() == limit && !answer->flows.empty())
        behind_last = FlowCursor{index, answer->behind_last};
      question.from = answer->next;
      if (!answer->is_end && Clock::now() < deadline) continue;
      if (!answer->is_end) {
        page.next = behind_last.value_or(FlowCursor{index, answer->next});
        return page;
      }
    }
    question.from = 0;
    ++worker;
  }
  page.is_counted_to_the_end = page.silent_workers.empty();
  if (page.matched > page.flows.size()) page.next = behind_last.value_or(from);
  return page;
}

std::optional<FlowReport> Asker::flow(const FlowKey& key) {
  const std::lock_guard lock(mutex_);
  Question question;
  question.topic = InquiryTopic::flow;
  question.key = key;
  for (std::size_t worker = 0; worker < workers_.size(); ++worker) {
    const Answer* answer = ask(worker, question);
    if (answer != nullptr && !answer->flows.empty()) return answer->flows[0];
  }
  return std::nullopt;
}

bool Asker::ask_all(std::size_t worker, InquiryTopic topic,
                    const std::function<void(const Answer&)>& each) {
  Question question;
  question.topic = topic;
  while (true) {
    const Answer* answer = ask(worker, question);
    if (answer == nullptr) return false;
    each(*answer);
    if (answer->is_end) return true;
    question.from = answer->next;
  }
}

TrafficReport Asker::traffic() {
  const std::lock_guard lock(mutex_);
  TrafficReport report;
  std::map<std::uint32_t, LbReport> lbs;
  std::map<std::uint32_t, RuleCounts> rules;
  for (std::size_t worker = 0; worker < workers_.size(); ++worker) {
    const bool answered = ask_all(worker, InquiryTopic::lb_counts,
                                  [&](const Answer& answer) {
                                    for (const LbReport& lb : answer.lbs)
                                      add(lbs[lb.passed.id], lb);
                                  }) &&
                          ask_all(worker, InquiryTopic::rule_counts, [&](const Answer& answer) {
                            for (const RuleCounts& rule : answer.rules) add(rules[rule.id], rule);
                          });
    if (!answered) report.silent_workers.push_back(static_cast<unsigned>(worker));
  }
  report.lbs = values_of(lbs);
  report.rules = values_of(rules);
  return report;
}

void Asker::forget(InquiryTopic topic, std::vector<std::uint32_t> keep) {
  const auto kept = std::make_shared<const std::vector<std::uint32_t>>(std::move(keep));
  for (std::size_t worker = 0; worker < workers_.size(); ++worker) {
    if (workers_[worker]->is_asked()) continue;  // it may read what it was given before
    kept_[worker] = kept;
    Question question;
    question.topic = topic;
    question.keep = *kept;
    for (const Answer* answer = ask(worker, question); answer != nullptr && !answer->is_end;
         answer = ask(worker, question))
      question.from = answer->next;
  }
}

void Asker::forget_counts_but_of(std::vector<rules::LbId> lbs, std::vector<rules::RuleId> rules) {
  const std::lock_guard lock(mutex_);
  forget(InquiryTopic::forget_lbs, std::move(lbs));
  forget(InquiryTopic::forget_rules, std::move(rules));
}

}  // namespace sluice::dataplane
