// SPDX-License-Identifier: Apache-2.0
//
// A sequence of events at the gate: packets both ways, time, table changes, fragments, floods; and
// its run through the production pipeline beside the reference model.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/oracle/flow_model.h"

namespace sluice::sequences {

// A change: which of the catalogue's rules each of the two groups has, and which of the groups each
// load balancer (bit 0: group 1).
struct Change {
  std::uint64_t rules[2] = {0, 0};
  std::uint32_t attached[3] = {1, 3, 2};
  // By how much rule ids are moved: one may name another rule than before.
  std::uint32_t renumbered = 0;
  oracle::Fate fate = oracle::Fate::cut;
  std::uint32_t drain_s = 10;
};

struct Event {
  std::uint32_t wait_ms = 0;  // before it
  std::optional<Change> change;
  oracle::SpokenPacket packet;  // if it is no change
};

struct NodeOptions {
  bool pass_unknown_addresses = false;
  bool allow_ip_options = false;
  bool rules_first = false;
  std::uint32_t adopt_s = 0;
  std::uint32_t cells = 0;  // room for flows; 0: for all
};

struct Sequence {
  NodeOptions options;
  std::optional<NodeOptions> lie;  // what the pipeline is told instead, to see that it is caught
  Change begin;
  std::vector<Event> events;
};

// A number below `end` (at least 1): from a random generator, or from the bytes of a fuzzer.
using Choose = std::function<std::uint64_t(std::uint64_t end)>;

[[nodiscard]] Sequence random_sequence(const Choose& choose, std::size_t events);

struct Failure {
  std::size_t event = 0;  // index
  std::string what;
};

// Null: pipeline and model agree on every event, and the books are right at each.
[[nodiscard]] std::optional<Failure> run(const Sequence& sequence);

// The shortest sequence that this finds which still fails.
[[nodiscard]] Sequence shrink(Sequence sequence);

// One event a line, as a scenario tells it.
[[nodiscard]] std::string to_text(const Sequence& sequence);

}  // namespace sluice::sequences
