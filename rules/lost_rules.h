// SPDX-License-Identifier: Apache-2.0
//
// Which rules of a group were taken away or altered, and when: so that a flow whose own rule was
// left alone goes on without being looked up again.
//
// Generations are known by their low halves, and compared by how far they lie before the newest.
//
// Limits: of earlier changes kCarriedMax rules are remembered; what was lost before is unknown.
// Cost: nothing but a comparison where nothing was lost; else mostly one slot of a hash table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "rules/model.h"

namespace sluice::rules {

struct ResolvedGroup;

// Did `then` come at `since` or after it? `now` is the newest; a `then` of a newer table that was
// taken back did not.
[[nodiscard]] constexpr bool is_since(std::uint32_t then, std::uint32_t since,
                                      std::uint32_t now) noexcept {
  return now - then <= now - since;
}

class LostRules {
 public:
  static constexpr std::size_t kCarriedMax = 1024;

  // Of a group that `generation` brings: what it had before is unknown.
  explicit LostRules(std::uint32_t generation) noexcept : known_from_(generation) {}
  // After `generation` has made `after` of `before`, beside what was lost until then.
  LostRules(const LostRules& until_then, std::uint32_t generation, const ResolvedGroup& before,
            const ResolvedGroup& after);

  // May a rule that the group had at `then` no longer allow what it allowed?
  [[nodiscard]] bool has(RuleId rule, std::uint32_t then, std::uint32_t now) const noexcept {
    if (!is_since(then, known_from_, now)) return true;
    if (count_ == 0) return false;
    const Slot& slot = slots_[slot_of(rule)];
    return slot.rule != 0 && !is_since(then, slot.generation, now);
  }
  // The last generation that lost a rule; 0: none is known.
  [[nodiscard]] std::uint32_t newest() const noexcept { return newest_; }
  [[nodiscard]] std::size_t size_bytes() const noexcept { return slots_.size() * sizeof(Slot); }

 private:
  struct Slot {
    RuleId rule = 0;  // 0: none
    std::uint32_t generation = 0;
  };
  // That of the rule, or the empty one where it would stand.
  [[nodiscard]] std::size_t slot_of(RuleId rule) const noexcept {
    std::size_t at = rule * 0x9e3779b1u >> shift_;
    while (slots_[at].rule != rule && slots_[at].rule != 0) at = (at + 1) & (slots_.size() - 1);
    return at;
  }
  void add(RuleId rule, std::uint32_t generation) noexcept;

  std::uint32_t known_from_;
  std::uint32_t newest_ = 0;
  std::uint32_t shift_ = 0;
  std::uint32_t count_ = 0;
  std::vector<Slot> slots_;  // a power of two, at most a quarter full, linear probing
};

}  // namespace sluice::rules
