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
  return {verdict.reason, verdict.flow, verdict.lb, verdict.rule, verdict.is_held};
}

// The pipeline and the model side by side.
class Pair {
 public:
  explicit Pair(const Sequence& sequence)
      : sequence_(sequence), replay_(4096, {7, 11}, 4096), fragments_(flows_) {
    replay_.set_zone(5, 1);
  }

  std::string publish(const Change& change) {
    oracle::Published published;
    published.node = node_of(change);
    published.zones = kZones;
    published.zone_of_vlan = {{0, "a"}, {5, "b"}};
    published.pass_unknown_addresses = sequence_.setup.pass_unknown_addresses;
    published.allow_ip_options = sequence_.setup.allow_ip_options;
    published.rules_first = sequence_.setup.rules_first;
    published.adopt_s = sequence_.setup.adopt_s;
    published.fate = change.fate;
    published.drain_s = change.drain_s;
    (void)flows_.publish(published, now_);
    dataplane::Settings settings;
    settings.pass_unknown_addresses = sequence_.setup.pass_unknown_addresses;
    settings.allow_ip_options = sequence_.setup.allow_ip_options;
    auto table = compiler_.compile(*published.node, kZones, flows_.generation());
    if (!table) return "no table: " + table.error().message;
    replay_.publish(std::make_shared<const dataplane::Snapshot>(
        dataplane::Snapshot{std::move(*table), settings}));
    return {};
  }

  std::string wait(std::uint32_t wait_ms) {
    now_ += wait_ms;
    while (flows_.is_in_doubt(now_)) now_ += 500;
    flows_.pass_time(now_);
    fragments_.pass_time(now_);
    return {};
  }

  std::string judge(const oracle::SpokenPacket& packet) {
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
  static std::string difference(const Outcome& expected, const Outcome& seen) {
    const bool is_same = expected.reason == seen.reason && expected.flow == seen.flow &&
                         expected.is_held == seen.is_held && expected.lb == seen.lb &&
                         expected.rule == seen.rule;
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
