// SPDX-License-Identifier: Apache-2.0
//
// Tells a worker that makes rounds from one that hangs, by looking at its count of rounds again and
// again.
//
// Owner: one thread, the one that looks.
#pragma once

#include <algorithm>
#include <cstdint>

namespace sluice::dataplane {

enum class RoundChange : std::uint8_t { none, hangs, goes_on };

class RoundWatch {
 public:
  // Both in milliseconds; it is looked at every `interval`.
  RoundWatch(std::uint32_t threshold_ms, std::uint32_t interval_ms) noexcept
      : threshold_ms_(threshold_ms), interval_ms_(interval_ms) {}

  // A look at `now`. Only time in which the looker itself ran counts: a machine that slept, or a
  // process that was stopped, wakes with everything in it, not with a worker that hangs.
  RoundChange look(std::uint64_t rounds, std::uint64_t now_ms) noexcept {
    const std::uint64_t passed = std::min<std::uint64_t>(now_ms - last_ms_, 2ull * interval_ms_);
    const bool is_first = last_ms_ == 0;
    last_ms_ = now_ms;
    if (is_first || rounds != rounds_) {
      rounds_ = rounds;
      silent_ms_ = 0;
      return set_hung(false);
    }
    silent_ms_ += passed;
    return set_hung(silent_ms_ >= threshold_ms_);
  }

  [[nodiscard]] std::uint64_t silent_ms() const noexcept { return silent_ms_; }
  [[nodiscard]] bool is_hung() const noexcept { return is_hung_; }

 private:
  RoundChange set_hung(bool hung) noexcept {
    if (hung == is_hung_) return RoundChange::none;
    is_hung_ = hung;
    return hung ? RoundChange::hangs : RoundChange::goes_on;
  }

  std::uint32_t threshold_ms_;
  std::uint32_t interval_ms_;
  std::uint64_t rounds_ = 0;
  std::uint64_t last_ms_ = 0;
  std::uint64_t silent_ms_ = 0;
  bool is_hung_ = false;
};

}  // namespace sluice::dataplane
