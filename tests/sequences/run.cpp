// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <map>
#include <span>
#include <sstream>

#include "dataplane/offline/replay.h"
#include "rules/compile.h"
#include "tests/oracle/fragment_model.h"
#include "tests/sequences/frame.h"
#include "tests/sequences/sequence.h"
#include "tests/sequences/world.h"

namespace sluice::sequences {
namespace {

using dataplane::Verdict;
using dataplane::offline::Input;
using dataplane::offline::Replay;
using oracle::Outcome;
using oracle::TimeMs;

constexpr dataplane::TimeNs kMs = 1'000'000;
// Where sequences ask for no less: room for all. So small that all hosts share it (how hosts are
// told apart under pressure is flood_test.cpp's).
constexpr std::uint32_t kFlowsMax = 4000, kDatagramsMax = 1024;
// Idle rounds that sweep a small table.
constexpr int kSweepRounds = 8;
const std::vector<std::string> kZones{"a", "b"};

std::string to_text(const Outcome& outcome) {
  std::ostringstream text;
  if (outcome.is_held) {
    text << "held";
  } else if (outcome.passes()) {
    text << "pass " << to_string(outcome.flow);
  } else {
    text << "drop " << to_string(outcome.reason);
  }
  text << " lb " << outcome.lb << " rule " << outcome.rule.group << "/" << outcome.rule.rule;
  return text.str();
}

Outcome outcome_of(const Verdict& verdict) {
  return {verdict.reason, verdict.flow, verdict.lb, verdict.rule, verdict.is_held, false};
}

// The pipeline and the model side by side.
class Pair {
 public:
  explicit Pair(const Sequence& sequence)
      : sequence_(sequence),
        replay_(cells_of(sequence), {7, 11}, kDatagramsMax),
        fragments_(flows_) {
    replay_.set_zone(5, 1);
  }

  std::string publish(const Change& change) {
    oracle::Published published;
    published.node = node_of(change);
    published.zones = kZones;
    published.zone_of_vlan = {{0, "a"}, {5, "b"}};
    published.pass_unknown_addresses = sequence_.options.pass_unknown_addresses;
    published.allow_ip_options = sequence_.options.allow_ip_options;
    published.rules_first = sequence_.options.rules_first;
    published.adopt_s = sequence_.options.adopt_s;
    published.cells = sequence_.options.cells;
    published.fate = change.fate;
    published.drain_s = change.drain_s;
    // What a second fate makes of a draining flow is left open.
    if (flows_.is_draining()) published.fate = oracle::Fate::cut;
    const oracle::FateTotals expected = flows_.publish(published, now_);
    dataplane::Settings settings;
    const NodeOptions told = sequence_.lie.value_or(sequence_.options);
    settings.pass_unknown_addresses = told.pass_unknown_addresses;
    settings.allow_ip_options = told.allow_ip_options;
    auto table = compiler_.compile(*published.node, kZones, flows_.generation());
    if (!table) return "no table: " + table.error().message;
    settings.tracking =
        told.rules_first ? dataplane::Tracking::rules_first : dataplane::Tracking::strict;
    settings.adopt_s = told.adopt_s;
    const dataplane::FlowsOnChange flows{static_cast<dataplane::FlowFate>(published.fate),
                                         published.drain_s};
    replay_.pass_time(now_ * kMs);
    const auto seen = replay_.publish(std::make_shared<const dataplane::Snapshot>(
        dataplane::Snapshot{std::move(*table), settings, flows}));
    if (flows_.generation() == 1) replay_.pass_time(now_ * kMs);
    if (oracle::FateTotals{seen.cut, seen.kept, seen.draining} == expected) return {};
    return "the model says " + fates_text(expected.cut, expected.kept, expected.draining) +
           ", the pipeline " + fates_text(seen.cut, seen.kept, seen.draining);
  }

  std::string wait(std::uint32_t wait_ms) {
    now_ += wait_ms;
    while (flows_.is_in_doubt(now_)) now_ += 500;
    flows_.pass_time(now_);
    fragments_.pass_time(now_);
    // What is over must be out of the way of what comes.
    if (sequence_.options.cells == 0 || wait_ms == 0) return {};
    for (int i = 0; i < kSweepRounds; ++i) replay_.pass_time(now_ * kMs);
    return check_released();
  }

  std::string judge(const oracle::SpokenPacket& packet) {
    if (flows_.leaves_open(packet)) return {};
    const Input input{now_ * kMs,
                      packet.from_outside ? dataplane::Side::outside : dataplane::Side::inside,
                      frame_of(packet, flows_.numbers_for(packet))};
    const Outcome expected = fragments_.judge(judged_++, packet);
    const Outcome seen = outcome_of(replay_.judge(input));
    if (std::string why = difference(expected, seen); !why.empty()) return why;
    return check_released();
  }

  std::string finish() {
    replay_.finish();
    fragments_.finish();
    return check_released();
  }

 private:
  static std::uint32_t cells_of(const Sequence& sequence) {
    const std::uint32_t cells = sequence.lie.value_or(sequence.options).cells;
    return cells == 0 ? kFlowsMax : cells;
  }
  static std::string fates_text(std::uint64_t cut, std::uint64_t kept, std::uint64_t draining) {
    return std::to_string(cut) + " cut, " + std::to_string(kept) + " kept, " +
           std::to_string(draining) + " draining";
  }
  static std::string difference(const Outcome& expected, const Outcome& seen) {
    const bool is_same = expected.reason == seen.reason && expected.flow == seen.flow &&
                         expected.is_held == seen.is_held && expected.lb == seen.lb &&
                         (expected.is_by_grace || expected.rule == seen.rule);
    if (is_same) return {};
    return "the model says \"" + to_text(expected) + "\", the pipeline \"" + to_text(seen) + "\"";
  }

  std::string check_released() {
    const auto expected = fragments_.take_released();
    const auto seen = replay_.take_released();
    if (expected.size() != seen.size())
      return "the model disposes of " + std::to_string(expected.size()) +
             " held frames, the pipeline of " + std::to_string(seen.size());
    for (std::size_t i = 0; i < seen.size(); ++i) {
      if (expected[i].number != seen[i].number) return "held frames in another order";
      Outcome outcome = outcome_of(seen[i].verdict);
      if (outcome.reason == dataplane::DropReason::fragment_orphan)
        outcome.lb = expected[i].outcome.lb;
      if (std::string why = difference(expected[i].outcome, outcome); !why.empty())
        return "of a held frame " + why;
    }
    const dataplane::Counts counts = replay_.counts();
    if (counts.received != counts.passed + counts.dropped_total()) return "the books are wrong";
    if (counts.received + counts.fragments_held != judged_) return "a frame is lost";
    return {};
  }

  const Sequence& sequence_;
  Replay replay_;
  oracle::FlowModel flows_;
  oracle::FragmentModel fragments_;
  rules::Compiler compiler_;
  std::uint64_t judged_ = 0;
  TimeMs now_ = 10'000;
};

}  // namespace

std::optional<Failure> run(const Sequence& sequence) {
  Pair pair(sequence);
  if (std::string why = pair.publish(sequence.begin); !why.empty()) return Failure{0, why};
  for (std::size_t i = 0; i < sequence.events.size(); ++i) {
    const Event& event = sequence.events[i];
    std::string why = pair.wait(event.wait_ms);
    if (why.empty()) why = event.change ? pair.publish(*event.change) : pair.judge(event.packet);
    if (!why.empty()) return Failure{i, why};
  }
  if (std::string why = pair.finish(); !why.empty())
    return Failure{sequence.events.size() - 1, why};
  return std::nullopt;
}

Sequence shrink(Sequence sequence) {
  auto failure = run(sequence);
  if (!failure) return sequence;
  sequence.events.resize(failure->event + 1);
  for (std::size_t size = sequence.events.size() / 2; size > 0;) {
    bool is_shorter = false;
    for (std::size_t at = 0; at + size <= sequence.events.size();) {
      Sequence shorter = sequence;
      const auto first = shorter.events.begin() + static_cast<std::ptrdiff_t>(at);
      // What is left out takes no time away.
      std::uint32_t waited = 0;
      for (auto event = first; event != first + static_cast<std::ptrdiff_t>(size); ++event)
        waited += event->wait_ms;
      shorter.events.erase(first, first + static_cast<std::ptrdiff_t>(size));
      if (at < shorter.events.size()) shorter.events[at].wait_ms += waited;
      const auto still = shorter.events.empty() ? std::nullopt : run(shorter);
      if (!still) {
        at += size;
        continue;
      }
      shorter.events.resize(still->event + 1);
      sequence = std::move(shorter);
      is_shorter = true;
    }
    if (!is_shorter || size > sequence.events.size()) size /= 2;
  }
  return sequence;
}

}  // namespace sluice::sequences
