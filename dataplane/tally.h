// SPDX-License-Identifier: Apache-2.0
//
// What a worker counts of its packets: all of them, per load balancer, per rule. One place, so that
// the sums agree: over all LBs (with those of none) the counts of the worker.
//
// Owner: one worker; others ask for copies (inquiry.h). Cost: an add in a line that the LB's
// packets share; a rule is counted where a flow opens, or where it lets a packet pass without one.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "dataplane/counters.h"
#include "dataplane/entries_by_id.h"
#include "rules/model.h"
#include "rules/packet_key.h"

namespace sluice::dataplane {

// received = passed + sum(dropped), as of a worker's.
struct DirectionCounts {
  std::uint64_t received = 0;
  std::uint64_t passed = 0;
  std::uint64_t bytes_passed = 0;
};

// The line that packets that pass write.
struct alignas(64) LbCounts {
  rules::LbId id = 0;
  std::array<DirectionCounts, 2> by_direction{};
  LbCounts& operator+=(const LbCounts& other) noexcept {
    for (std::size_t i = 0; i < 2; ++i) {
      by_direction[i].received += other.by_direction[i].received;
      by_direction[i].passed += other.by_direction[i].passed;
      by_direction[i].bytes_passed += other.by_direction[i].bytes_passed;
    }
    return *this;
  }
};
static_assert(sizeof(LbCounts) == 64);

using DropsByReason = std::array<std::uint64_t, kDropReasons>;

// The whole of one LB; LB 0: packets of none. LB kOthers: of LBs that are gone or beyond the slots.
struct LbReport {
  LbCounts passed;
  std::array<DropsByReason, 2> dropped{};  // by direction
};

struct RuleCounts {
  rules::RuleId id = 0;
  rules::GroupId group = 0;
  std::uint64_t flows_opened = 0;   // connections that it allowed, adopted ones too
  std::uint64_t packets_alone = 0;  // that it let pass without a flow: ICMP but for echo
  RuleCounts& operator+=(const RuleCounts& other) noexcept {
    flows_opened += other.flows_opened;
    packets_alone += other.packets_alone;
    return *this;
  }
};

class Tally {
 public:
  static constexpr std::uint32_t kLbSlots = 1u << 14;
  static constexpr std::uint32_t kRuleSlots = 1u << 17;
  using Lbs = EntriesById<LbCounts>;
  using Rules = EntriesById<RuleCounts>;

  [[nodiscard]] static std::size_t size_bytes() noexcept;
  // `memory`: size_bytes(), zeroed, 64-byte aligned.
  explicit Tally(std::span<std::byte> memory) noexcept;

  // A verdict, once it is known; not again for a frame that was held.
  void judged(const Verdict& verdict) noexcept {
    if (verdict.flow != FlowKind::established && verdict.rule.rule != 0) count_rule(verdict);
  }
  // Packets that left, each of its LB (0: of none). Runs of one LB are added up in registers: an
  // add in memory a packet would wait for the one before it.
  void passed(rules::Direction direction, std::span<const rules::LbId> lbs,
              std::span<const std::uint32_t> sizes_bytes) noexcept {
    std::uint64_t total_bytes = 0;
    for (std::size_t i = 0; i < lbs.size();) {
      const rules::LbId lb = lbs[i];
      const std::size_t first = i;
      std::uint64_t bytes = 0;
      do bytes += sizes_bytes[i++];
      while (i < lbs.size() && lbs[i] == lb);
      DirectionCounts& lane = lbs_.of(lb).by_direction[static_cast<std::size_t>(direction)];
      lane.received += i - first;
      lane.passed += i - first;
      lane.bytes_passed += bytes;
      total_bytes += bytes;
    }
    counts.received += lbs.size();
    counts.passed += lbs.size();
    counts.bytes_passed += total_bytes;
  }
  // A packet dropped.
  void dropped(rules::LbId lb, rules::Direction direction, DropReason reason,
               std::uint32_t size_bytes) noexcept;

  Counts counts;  // of all packets; gauges and flows come from the pipeline

  [[nodiscard]] std::uint32_t lb_entries() const noexcept { return lbs_.count(); }
  // False: the entry is free.
  [[nodiscard]] bool lb_report(std::uint32_t index, LbReport& report) const noexcept;
  [[nodiscard]] std::uint32_t rule_entries() const noexcept { return rules_.count(); }
  [[nodiscard]] bool rule_report(std::uint32_t index, RuleCounts& report) const noexcept;
  // What is not among the sorted ids is added to the others.
  void forget_lb_unless(std::uint32_t index, std::span<const rules::LbId> keep) noexcept;
  void forget_rule_unless(std::uint32_t index, std::span<const rules::RuleId> keep) noexcept {
    rules_.forget_unless(index, keep);
  }

 private:
  using Drops = std::array<DropsByReason, 2>;
  void count_rule(const Verdict& verdict) noexcept;

  Lbs lbs_;
  Rules rules_;
  Drops* drops_;  // beside lbs_, by its index: a drop's own lines
};

}  // namespace sluice::dataplane
