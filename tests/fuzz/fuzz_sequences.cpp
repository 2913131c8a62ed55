// SPDX-License-Identifier: Apache-2.0
//
// Sequences of events, written by the same author as the random ones but with the fuzzer's bytes
// for his choices, through the pipeline beside the reference model.
#include <cstdio>
#include <cstdlib>

#include "tests/sequences/sequence.h"

using namespace sluice;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::uint8_t* const end = bytes + size;
  const sequences::Choose choose = [&](std::uint64_t limit) {
    std::uint64_t value = 0;
    for (std::uint64_t left = limit - 1; left > 0 && bytes != end; left >>= 8)
      value = value << 8 | *bytes++;
    return value % limit;
  };
  // A choice takes a byte or so, an event a few choices.
  const sequences::Sequence sequence = sequences::random_sequence(choose, size / 6 + 1);
  const auto failure = sequences::run(sequence);
  if (!failure) return 0;
  std::fprintf(stderr, "event %zu: %s\n%s", failure->event, failure->what.c_str(),
               sequences::to_text(sequences::shrink(sequence)).c_str());
  std::abort();
}
