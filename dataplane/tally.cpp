// SPDX-License-Identifier: Apache-2.0
#include "dataplane/tally.h"

namespace sluice::dataplane {
namespace {

constexpr std::size_t whole_lines(std::size_t bytes) {
  return (bytes + 63) / 64 * 64;
}
constexpr std::size_t kLbBytes = whole_lines(Tally::Lbs::size_bytes(Tally::kLbSlots));
constexpr std::size_t kRuleBytes = whole_lines(Tally::Rules::size_bytes(Tally::kRuleSlots));

}  // namespace

std::size_t Tally::size_bytes() noexcept {
  return kLbBytes + kRuleBytes + (std::size_t{kLbSlots} + 1) * sizeof(Drops);
}

Tally::Tally(std::span<std::byte> memory) noexcept
    : lbs_(memory.data(), kLbSlots),
      rules_(memory.data() + kLbBytes, kRuleSlots),
      drops_(reinterpret_cast<Drops*>(memory.data() + kLbBytes + kRuleBytes)) {}

void Tally::count_rule(const Verdict& verdict) noexcept {
  // An ICMP error about a flow passes by the flow.
  if (verdict.is_held || verdict.flow == FlowKind::related) return;
  RuleCounts& entry = rules_.of(verdict.rule.rule);
  if (entry.id != Rules::kOthers) entry.group = verdict.rule.group;
  if (verdict.flow == FlowKind::none) {
    ++entry.packets_alone;
  } else {
    ++entry.flows_opened;
  }
}

void Tally::dropped(rules::LbId lb, rules::Direction direction, DropReason reason,
                    std::uint32_t size_bytes) noexcept {
  counts.add(reason, size_bytes);
  LbCounts& entry = lbs_.of(lb);
  ++entry.by_direction[static_cast<std::size_t>(direction)].received;
  ++drops_[&entry - &lbs_.at(0)][static_cast<std::size_t>(direction)]
          [static_cast<std::size_t>(reason)];
}

bool Tally::lb_report(std::uint32_t index, LbReport& report) const noexcept {
  const LbCounts& entry = lbs_.at(index);
  if (entry.id == 0 && index != 0) return false;
  report.passed = entry;
  report.dropped = drops_[index];
  return true;
}

bool Tally::rule_report(std::uint32_t index, RuleCounts& report) const noexcept {
  report = rules_.at(index);
  return report.id != 0;
}

void Tally::forget_lb_unless(std::uint32_t index, std::span<const rules::LbId> keep) noexcept {
  const rules::LbId id = lbs_.at(index).id;
  lbs_.forget_unless(index, keep);
  if (lbs_.at(index).id == id) return;
  Drops& others = drops_[kLbSlots];
  for (std::size_t direction = 0; direction < 2; ++direction)
    for (std::size_t i = 0; i < kDropReasons; ++i)
      others[direction][i] += drops_[index][direction][i];
  drops_[index] = {};
}

}  // namespace sluice::dataplane
