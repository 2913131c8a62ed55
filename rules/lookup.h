// SPDX-License-Identifier: Apache-2.0
//
// The batch lookup, one build for each instruction set; the CPU's best is chosen at run time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "rules/packet_key.h"
#include "rules/policy_image.h"

namespace sluice::rules {

inline constexpr std::size_t kBatchMax = 64;

enum class InstructionSet : std::uint8_t { scalar, avx2, avx512 };
[[nodiscard]] std::string_view to_string(InstructionSet set);

// What a lookup knows of all images of a table.
struct ImageSet {
  const Line* const* images = nullptr;  // [policy * 2 + direction]
  RowLevels levels;                     // of the deepest
};

// Bit i of the answer: a rule allows keys[i]. count <= kBatchMax.
using LookupBatch = std::uint64_t (*)(const ImageSet& set, const PacketKey* keys,
                                      std::size_t count) noexcept;

// Null where this CPU lacks it.
[[nodiscard]] LookupBatch lookup_batch(InstructionSet set) noexcept;
[[nodiscard]] InstructionSet best_instruction_set() noexcept;

// rules/lookup_*.cpp
std::uint64_t lookup_batch_scalar(const ImageSet& set, const PacketKey* keys,
                                  std::size_t count) noexcept;
std::uint64_t lookup_batch_avx2(const ImageSet& set, const PacketKey* keys,
                                std::size_t count) noexcept;
std::uint64_t lookup_batch_avx512(const ImageSet& set, const PacketKey* keys,
                                  std::size_t count) noexcept;

}  // namespace sluice::rules
