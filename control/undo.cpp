// SPDX-License-Identifier: Apache-2.0
#include "control/undo.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/differences.h"
#include "control/load_balancer.h"

namespace sluice::control {
namespace {

using rules::ErrorCode;
using rules::fail;
using rules::GroupId;
using rules::LbId;
using rules::LoadBalancer;
using rules::Problem;
using rules::Result;

std::optional<UnixMs> expiry_of(const State& state, const Attachment& attachment) {
  const auto found = state.expiries.find(attachment);
  if (found == state.expiries.end()) return std::nullopt;
  return found->second;
}

bool same_registration(const LoadBalancer& a, const LoadBalancer& b) {
  return a.name == b.name && a.zone == b.zone && a.addresses == b.addresses &&
         a.registration == b.registration;
}

AttachmentBefore attachment_before(const State& before, const LoadBalancer& lb, GroupId group) {
  const auto place = std::find(lb.groups.begin(), lb.groups.end(), group);
  AttachmentBefore undo{{lb.id, group}, place != lb.groups.end()};
  undo.place = static_cast<std::size_t>(place - lb.groups.begin());
  if (undo.was_attached) undo.expires_at = expiry_of(before, undo.attachment);
  return undo;
}

void add_attachments(Undo& undo, const State& before, const LoadBalancer& old,
                     const LoadBalancer& now) {
  for (GroupId group : old.groups)
    if (!is_attached(now, group)) undo.attachments.push_back(attachment_before(before, old, group));
  for (GroupId group : now.groups)
    if (!is_attached(old, group)) undo.attachments.push_back(attachment_before(before, old, group));
}

// Checks of a restored value against the rest of the state; each names what stands in the way.
struct Restore {
  State& state;
  std::vector<Problem> problems;

  void refuse(std::string what, std::string why) {
    problems.push_back({std::move(what), std::move(why)});
  }
  void vpc(const Before<rules::VpcId, rules::Vpc>& before);
  void group(const Before<GroupId, rules::Group>& before);
  void load_balancer(const Before<LbId, LoadBalancer>& before);
  void attachment(const AttachmentBefore& before);
  void account_default(GroupId group);
  void check_claims(const LoadBalancer& lb, const std::string& what);
};

void Restore::vpc(const Before<rules::VpcId, rules::Vpc>& before) {
  const std::string what = fmt::format("VPC {}", before.id);
  if (before.value != nullptr) {
    for (const auto& [id, other] : state.node.vpcs)
      if (id != before.id && other->name == before.value->name)
        refuse(what, fmt::format("its name {} is taken by VPC {}", other->name, id));
    state.node.vpcs[before.id] = before.value;
    return;
  }
  for (const auto& [id, group] : state.node.groups)
    for (const rules::Rule& rule : group->rules)
      if (rule.network.type == rules::NetworkType::my_network && rule.network.vpc == before.id)
        return refuse(what, fmt::format("a rule of group {} names it", id));
  state.node.vpcs.erase(before.id);
}

void Restore::group(const Before<GroupId, rules::Group>& before) {
  const std::string what = fmt::format("security group {}", before.id);
  if (before.value != nullptr) {
    for (const auto& [id, other] : state.node.groups)
      if (id != before.id && other->name == before.value->name)
        refuse(what, fmt::format("its name {} is taken by group {}", other->name, id));
    for (const rules::Rule& rule : before.value->rules)
      if (rule.network.type == rules::NetworkType::my_network &&
          !state.node.vpcs.contains(rule.network.vpc))
        refuse(what, fmt::format("VPC {}, which a rule names, is gone", rule.network.vpc));
    state.node.groups[before.id] = before.value;
    return;
  }
  for (const auto& [id, lb] : state.node.load_balancers)
    if (is_attached(*lb, before.id))
      refuse(what, fmt::format("it is attached to load balancer {}", id));
  if (state.node.account_default_group == before.id) refuse(what, "it is the account's default");
  state.node.groups.erase(before.id);
}

void Restore::check_claims(const LoadBalancer& lb, const std::string& what) {
  for (const auto& [id, other] : state.node.load_balancers) {
    if (id == lb.id) continue;
    if (other->name == lb.name)
      refuse(what, fmt::format("its name {} is taken by load balancer {}", lb.name, id));
    if (other->zone != lb.zone) continue;
    for (const auto& mine : lb.addresses)
      for (const auto& theirs : other->addresses)
        if (mine.address == theirs.address)
          refuse(what, fmt::format("its address {} belongs to load balancer {}",
                                   to_string(mine.address), id));
  }
}

void Restore::load_balancer(const Before<LbId, LoadBalancer>& before) {
  const std::string what = fmt::format("load balancer {}", before.id);
  if (before.value == nullptr) {
    state.node.load_balancers.erase(before.id);
    return;
  }
  check_claims(*before.value, what);
  LoadBalancer lb = *before.value;
  if (const auto now = state.node.load_balancers.find(before.id);
      now != state.node.load_balancers.end()) {
    lb.status = now->second->status;
    lb.groups = now->second->groups;
    lb.default_group = now->second->default_group;
  }
  for (GroupId group : lb.groups)
    if (!state.node.groups.contains(group))
      refuse(what, fmt::format("security group {}, which it has attached, is gone", group));
  state.node.load_balancers[before.id] = std::make_shared<const LoadBalancer>(std::move(lb));
}

void Restore::attachment(const AttachmentBefore& before) {
  const auto& [lb_id, group] = before.attachment;
  const std::string what = fmt::format("attachment of group {} to load balancer {}", group, lb_id);
  const auto found = state.node.load_balancers.find(lb_id);
  if (found == state.node.load_balancers.end())
    return refuse(what, fmt::format("load balancer {} is gone", lb_id));
  LoadBalancer lb = *found->second;
  if (!before.was_attached) {
    std::erase(lb.groups, group);
    state.expiries.erase(before.attachment);
  } else {
    if (!state.node.groups.contains(group))
      return refuse(what, fmt::format("security group {} is gone", group));
    if (!is_attached(lb, group)) {
      const std::size_t place = std::min(before.place, lb.groups.size());
      lb.groups.insert(lb.groups.begin() + static_cast<std::ptrdiff_t>(place), group);
    }
    if (before.expires_at) state.expiries[before.attachment] = *before.expires_at;
  }
  state.node.load_balancers[lb_id] = std::make_shared<const LoadBalancer>(std::move(lb));
}

void Restore::account_default(GroupId group) {
  if (!state.node.groups.contains(group))
    refuse("account default group", fmt::format("security group {} is gone", group));
  state.node.account_default_group = group;
}

}  // namespace

Undo difference(const State& before, const State& after) {
  Undo undo;
  each_difference(before.node.vpcs, after.node.vpcs, [&](auto id, const auto* old, const auto*) {
    undo.vpcs.push_back({id, old == nullptr ? nullptr : *old});
  });
  each_difference(before.node.groups, after.node.groups,
                  [&](auto id, const auto* old, const auto*) {
                    undo.groups.push_back({id, old == nullptr ? nullptr : *old});
                  });
  each_difference(before.node.load_balancers, after.node.load_balancers,
                  [&](LbId id, const auto* old, const auto* now) {
                    if (old == nullptr || now == nullptr || !same_registration(**old, **now))
                      undo.load_balancers.push_back({id, old == nullptr ? nullptr : *old});
                    if (old != nullptr && now != nullptr)
                      add_attachments(undo, before, **old, **now);
                    if (old == nullptr || now != nullptr) return;
                    for (GroupId group : (*old)->groups)
                      if (const auto at = expiry_of(before, {id, group}))
                        undo.attachments.push_back(attachment_before(before, **old, group));
                  });
  if (before.node.account_default_group != after.node.account_default_group)
    undo.account_default_group = before.node.account_default_group;
  return undo;
}

std::vector<std::string> touched(const Undo& undo) {
  std::vector<std::string> names;
  for (const auto& vpc : undo.vpcs) names.push_back(fmt::format("VPC {}", vpc.id));
  for (const auto& group : undo.groups) names.push_back(fmt::format("security group {}", group.id));
  for (const auto& lb : undo.load_balancers)
    names.push_back(fmt::format("load balancer {}", lb.id));
  for (const auto& [attachment, was, place, at] : undo.attachments)
    names.push_back(
        fmt::format("attachment of group {} to load balancer {}", attachment.group, attachment.lb));
  if (undo.account_default_group) names.emplace_back("account default group");
  return names;
}

// VPCs before the groups that name them come back, after those that go; so with groups and LBs.
Result<State> undone(const Undo& undo, State state) {
  Restore restore{state, {}};
  const auto comes_back = [](const auto& before) { return before.value != nullptr; };
  for (const auto& vpc : undo.vpcs)
    if (comes_back(vpc)) restore.vpc(vpc);
  for (const auto& group : undo.groups)
    if (comes_back(group)) restore.group(group);
  if (undo.account_default_group) restore.account_default(*undo.account_default_group);
  for (const auto& lb : undo.load_balancers)
    if (!comes_back(lb)) restore.load_balancer(lb);
  for (const auto& lb : undo.load_balancers)
    if (comes_back(lb)) restore.load_balancer(lb);
  for (const auto& attachment : undo.attachments) restore.attachment(attachment);
  for (const auto& group : undo.groups)
    if (!comes_back(group)) restore.group(group);
  for (const auto& vpc : undo.vpcs)
    if (!comes_back(vpc)) restore.vpc(vpc);
  if (!restore.problems.empty())
    return fail(rules::refusal(std::move(restore.problems), ErrorCode::conflict));
  return state;
}

namespace {

// What both touch, or the LB that one of them registered or deleted and the other attaches to.
std::vector<std::string> in_common(const Undo& a, const Undo& b) {
  const auto names_of = [](const Undo& undo) {
    std::vector<std::string> names = touched(undo);
    std::sort(names.begin(), names.end());
    return names;
  };
  const std::vector<std::string> first = names_of(a), second = names_of(b);
  std::vector<std::string> common;
  std::set_intersection(first.begin(), first.end(), second.begin(), second.end(),
                        std::back_inserter(common));
  const auto add_lbs = [&](const Undo& lbs, const Undo& attachments) {
    for (const auto& lb : lbs.load_balancers)
      for (const auto& item : attachments.attachments)
        if (item.attachment.lb == lb.id) {
          common.push_back(fmt::format("load balancer {}", lb.id));
          break;
        }
  };
  add_lbs(a, b);
  add_lbs(b, a);
  return common;
}

}  // namespace

Result<void> check_pending(const State& before, const State& after) {
  if (after.pending.empty()) return {};
  const Undo change = difference(before, after);
  std::vector<Problem> problems;
  for (const auto& [id, pending] : after.pending) {
    if (!before.pending.contains(id)) continue;  // it is this change that makes it
    const std::string place = fmt::format("change {}", id);
    for (const std::string& name : in_common(pending->undo, change))
      problems.push_back(
          {place, fmt::format("{} ({}) awaits confirmation until {} and touches the same: {}; "
                              "confirm it or roll it back first",
                              place, pending->what, utc_text(pending->confirm_by), name)});
    if (!problems.empty()) continue;
    if (const auto restored = undone(pending->undo, after); !restored) {
      for (const Problem& problem : restored.error().problems)
        problems.push_back(
            {place, fmt::format("{} ({}) awaits confirmation until {} and could not be rolled back "
                                "any more: {}: {}; confirm it or roll it back first",
                                place, pending->what, utc_text(pending->confirm_by), problem.where,
                                problem.message)});
    }
  }
  if (!problems.empty()) return fail(rules::refusal(std::move(problems), ErrorCode::conflict));
  return {};
}

}  // namespace sluice::control
