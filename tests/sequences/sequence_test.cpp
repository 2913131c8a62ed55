// SPDX-License-Identifier: Apache-2.0
//
// The pipeline against the reference model, on random sequences.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "tests/sequences/sequence.h"

namespace sluice::sequences {
namespace {

constexpr std::size_t kEventsPerSequence = 500;

std::uint64_t environment_or(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
}

Sequence sequence_of(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  return random_sequence([&](std::uint64_t end) { return random() % end; }, kEventsPerSequence);
}

// SLUICE_SEQUENCE_EVENTS: how many; SLUICE_SEED: one sequence, that of a failure.
void play(std::uint64_t share_of_events) {
  const std::uint64_t one = environment_or("SLUICE_SEED", 0);
  const std::uint64_t events = environment_or("SLUICE_SEQUENCE_EVENTS", 1'000'000);
  const std::uint64_t first = one != 0 ? one : std::random_device{}() * std::uint64_t{1'000'000};
  const std::uint64_t count = one != 0 ? 1 : events / share_of_events / kEventsPerSequence + 1;
  std::printf("seeds from %llu on\n", static_cast<unsigned long long>(first));
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const Sequence sequence = sequence_of(seed);
    const auto failure = run(sequence);
    if (!failure) continue;
    const Sequence shortest = shrink(sequence);
    const auto why = run(shortest);
    FAIL() << "SLUICE_SEED=" << seed << ": " << (why ? *why : *failure).what << "\n"
           << to_text(shortest);
  }
}

// Two halves, so that two processors have something to do.
TEST(Sequences, AgreeWithTheModel) {
  play(2);
}
TEST(Sequences, AgreeWithTheModelOnMore) {
  play(2);
}

// What finds nothing must be able to find.
TEST(Sequences, CatchAPipelineThatDoesOtherwiseAndShowIt) {
  for (const auto& lie : std::initializer_list<void (*)(NodeOptions&)>{
           [](NodeOptions& options) { options.pass_unknown_addresses ^= true; },
           [](NodeOptions& options) { options.allow_ip_options ^= true; },
           [](NodeOptions& options) { options.rules_first ^= true; },
           [](NodeOptions& options) { options.adopt_s = 60 - options.adopt_s; },
           [](NodeOptions& options) { options.cells = 3; }}) {
    std::size_t caught = 0;
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
      Sequence sequence = sequence_of(seed);
      sequence.lie = sequence.options;
      lie(*sequence.lie);
      if (!run(sequence)) continue;
      ++caught;
      if (seed <= 10) {
        EXPECT_LE(shrink(sequence).events.size(), 6u);
      }
    }
    EXPECT_GT(caught, 29u);
  }
}

}  // namespace
}  // namespace sluice::sequences
