// SPDX-License-Identifier: Apache-2.0
#include "rules/lookup.h"

namespace sluice::rules {

std::string_view to_string(InstructionSet set) {
  switch (set) {
    case InstructionSet::scalar:
      return "scalar";
    case InstructionSet::avx2:
      return "AVX2";
    case InstructionSet::avx512:
      return "AVX-512";
  }
  return "";
}

LookupBatch lookup_batch(InstructionSet set) noexcept {
  switch (set) {
    case InstructionSet::scalar:
      return lookup_batch_scalar;
#if defined(__x86_64__)
    case InstructionSet::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
                     __builtin_cpu_supports("popcnt")
                 ? lookup_batch_avx2
                 : nullptr;
    case InstructionSet::avx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                     __builtin_cpu_supports("avx512vl") &&
                     __builtin_cpu_supports("avx512vpopcntdq") &&
                     __builtin_cpu_supports("avx512vbmi") &&
                     __builtin_cpu_supports("avx512vbmi2") &&
                     __builtin_cpu_supports("avx512bitalg") && __builtin_cpu_supports("bmi2") &&
                     __builtin_cpu_supports("popcnt")
                 ? lookup_batch_avx512
                 : nullptr;
#endif
    default:
      return nullptr;
  }
}

InstructionSet best_instruction_set() noexcept {
  for (InstructionSet set : {InstructionSet::avx512, InstructionSet::avx2})
    if (lookup_batch(set) != nullptr) return set;
  return InstructionSet::scalar;
}

}  // namespace sluice::rules
