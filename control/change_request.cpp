// SPDX-License-Identifier: Apache-2.0
#include "control/change_request.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/load_balancer.h"
#include "control/undo.h"

namespace sluice::control {
namespace {

using rules::ErrorCode;
using rules::fail;
using rules::Problem;
using rules::Result;

// The refusal of the change itself, with what is wrong with its options beside it.
rules::Error with_problems(const Result<Outcome>& outcome, std::vector<Problem> problems) {
  if (problems.empty()) return outcome.error();
  if (!outcome) {
    for (const Problem& problem : outcome.error().problems)
      if (std::find(problems.begin(), problems.end(), problem) == problems.end())
        problems.push_back(problem);
  }
  return rules::refusal(std::move(problems));
}

std::vector<Problem> check_options(const ChangeRequest& request, const Result<Outcome>& outcome) {
  std::vector<Problem> problems = request.problems;
  if (request.options.expires_in_s && outcome && outcome->attached.empty())
    problems.push_back({"expires_in", "only what is attached can expire; leave it out"});
  return problems;
}

void set_expiries(const ChangeRequest& request, const Outcome& outcome, UnixMs now, Step& step) {
  if (request.options.expires_in_s) {
    const UnixMs at = now + UnixMs{*request.options.expires_in_s} * 1000;
    for (const Attachment& attachment : outcome.attached) step.next.expiries[attachment] = at;
    step.answer["expires_at"] = utc_text(at);
  }
  // Whatever took an attachment away took its end with it.
  std::vector<Attachment> gone;
  for (const auto& [attachment, at] : step.next.expiries) {
    const auto lb = step.next.node.load_balancers.find(attachment.lb);
    if (lb == step.next.node.load_balancers.end() || !is_attached(*lb->second, attachment.group))
      gone.push_back(attachment);
  }
  for (const Attachment& attachment : gone) step.next.expiries.erase(attachment);
}

Result<void> await_confirmation(const ChangeRequest& request, const Undo& undo, UnixMs now,
                                std::uint64_t generation, Step& step) {
  if (!request.options.confirm_within_s) return {};
  if (step.next.pending.size() >= kPendingMax) {
    return fail(rules::refusal(
        {{"confirm_within", fmt::format("{} changes await confirmation already, the most there "
                                        "may be; confirm or roll back some",
                                        kPendingMax)}},
        ErrorCode::conflict));
  }
  PendingChange pending;
  pending.id = step.next.next_change++;
  pending.generation = generation;
  pending.made_at = now;
  pending.confirm_by = now + UnixMs{*request.options.confirm_within_s} * 1000;
  pending.actor = request.source.actor;
  pending.what = fmt::format("{} {}", request.source.method, request.source.path);
  pending.undo = undo;
  step.change = pending.id;
  step.answer["change_id"] = pending.id;
  step.answer["confirm_by"] = utc_text(pending.confirm_by);
  step.next.pending[pending.id] = std::make_shared<const PendingChange>(std::move(pending));
  return {};
}

Result<Step> evaluate_guarded(const ChangeRequest& request, const State& before, UnixMs now,
                              std::uint64_t generation) {
  Result<Outcome> outcome = request.change(before);
  std::vector<Problem> problems = check_options(request, outcome);
  if (!outcome || !problems.empty()) return fail(with_problems(outcome, std::move(problems)));
  Step step;
  step.next = std::move(outcome->next);
  step.answer = std::move(outcome->answer);
  step.flows =
      outcome->flows == dataplane::FlowsOnChange{} ? request.options.flows : outcome->flows;
  step.is_dry_run = request.options.dry_run || outcome->is_answer_only;
  step.change = outcome->change;
  set_expiries(request, *outcome, now, step);
  const Undo undo = difference(before, step.next);
  step.touched = touched(undo);
  if (!outcome->is_answer_only) {
    if (auto made = await_confirmation(request, undo, now, generation, step); !made)
      return tl::unexpected(made.error());
  }
  if (!request.is_automatic && !before.pending.empty()) {
    if (auto free = check_pending(before, step.next); !free) return tl::unexpected(free.error());
  }
  return step;
}

}  // namespace

bool is_stale(const std::string& if_match, std::uint64_t generation) {
  return !if_match.empty() && if_match != "*" && if_match != fmt::format("\"{}\"", generation) &&
         if_match != fmt::format("{}", generation);
}

Result<Step> evaluate(const ChangeRequest& request, const State& before, UnixMs now,
                      std::uint64_t generation) try {
  if (is_stale(request.if_match, before.generation))
    return fail(ErrorCode::conflict, std::string(kStale));
  return evaluate_guarded(request, before, now, generation);
} catch (const std::exception& exception) {
  spdlog::error("a change failed: {}", exception.what());
  return fail(ErrorCode::capacity,
              std::string("The change could not be made: ") + exception.what());
}

namespace {

Result<Outcome> end_attachment(const State& state, const Attachment& attachment) {
  Outcome outcome{state, {{"id", attachment.lb}, {"security_group_ids", {attachment.group}}}};
  outcome.next.expiries.erase(attachment);
  if (const auto found = state.node.load_balancers.find(attachment.lb);
      found != state.node.load_balancers.end()) {
    rules::LoadBalancer lb = *found->second;
    std::erase(lb.groups, attachment.group);
    outcome.next.node.load_balancers[attachment.lb] =
        std::make_shared<const rules::LoadBalancer>(std::move(lb));
  }
  return outcome;
}

ChangeRequest by_the_node(Change change, std::string_view cause, std::string path) {
  ChangeRequest request{std::move(change)};
  request.source = {"sluiced", cause, "POST", std::move(path), ""};
  request.is_automatic = true;
  return request;
}

}  // namespace

std::vector<ChangeRequest> due_changes(const State& state, UnixMs now) {
  std::vector<ChangeRequest> due;
  for (const auto& [id, pending] : state.pending) {
    if (pending->confirm_by > now) continue;
    due.push_back(
        by_the_node([id = id](const State& current) { return roll_back_change(current, id); },
                    "rollback", fmt::format("/changes/{}/rollback", id)));
  }
  for (const auto& [attachment, at] : state.expiries) {
    if (at > now) continue;
    due.push_back(by_the_node(
        [attachment = attachment](const State& current) {
          return end_attachment(current, attachment);
        },
        "expiry", fmt::format("/security_group/{}/detach", attachment.lb)));
  }
  return due;
}

std::optional<UnixMs> next_due(const State& state) {
  std::optional<UnixMs> next;
  const auto take = [&](UnixMs at) {
    if (!next || at < *next) next = at;
  };
  for (const auto& [id, pending] : state.pending) take(pending->confirm_by);
  for (const auto& [attachment, at] : state.expiries) take(at);
  return next;
}

}  // namespace sluice::control
