// SPDX-License-Identifier: Apache-2.0
//
// A small value that one thread writes and others read whole: a sequence lock (Boehm, "Can seqlocks
// get along with programming language memory models?", 2012). The writer never waits, a reader
// retries while a write is under way.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace sluice::dataplane {

template <class Value>
class SharedValue {
 public:
  // The owning thread.
  void publish(const Value& value) noexcept {
    const auto words = std::bit_cast<std::array<std::uint64_t, kWords>>(value);
    const std::uint64_t sequence = sequence_.load(std::memory_order_relaxed);
    sequence_.store(sequence + 1, std::memory_order_relaxed);
    // Release on each word orders it after the odd sequence; free on x86 and, unlike a fence,
    // understood by ThreadSanitizer.
    for (std::size_t i = 0; i < kWords; ++i) words_[i].store(words[i], std::memory_order_release);
    sequence_.store(sequence + 2, std::memory_order_release);
  }

  // Any thread.
  [[nodiscard]] Value read() const noexcept {
    std::array<std::uint64_t, kWords> words;
    std::uint64_t before = 0, after = 0;
    do {
      before = sequence_.load(std::memory_order_acquire);
      for (std::size_t i = 0; i < kWords; ++i) words[i] = words_[i].load(std::memory_order_acquire);
      after = sequence_.load(std::memory_order_relaxed);
    } while (before != after || (before & 1) != 0);
    return std::bit_cast<Value>(words);
  }

 private:
  static_assert(std::is_trivially_copyable_v<Value> && sizeof(Value) % sizeof(std::uint64_t) == 0);
  static constexpr std::size_t kWords = sizeof(Value) / sizeof(std::uint64_t);
  alignas(64) std::atomic<std::uint64_t> sequence_{0};      // owner: rw, others: r
  std::array<std::atomic<std::uint64_t>, kWords> words_{};  // owner: w, others: r
};

}  // namespace sluice::dataplane
