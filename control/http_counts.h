// SPDX-License-Identifier: Apache-2.0
//
// What the HTTP server has done, for the metrics.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace sluice::control {

// Upper bounds of the times a request takes, in microseconds; a last bucket takes the rest.
inline constexpr std::array<std::uint64_t, 10> kRequestBucketsUs{
    100, 250, 500, 1000, 2500, 5000, 10'000, 50'000, 250'000, 1'000'000};

struct HttpCounts {                                       // server: w, any thread: r
  std::array<std::atomic<std::uint64_t>, 600> answers{};  // by status
  std::array<std::atomic<std::uint64_t>, kRequestBucketsUs.size() + 1> took{};
  std::atomic<std::uint64_t> took_us_total{0};
  std::atomic<std::uint64_t> refused_connections{0};
  std::atomic<std::uint64_t> connections{0};  // gauge
  std::atomic<std::uint64_t> streams{0};      // gauge

  void add(unsigned status, std::uint64_t us) {
    constexpr auto kRelaxed = std::memory_order_relaxed;
    if (status < answers.size()) answers[status].fetch_add(1, kRelaxed);
    std::size_t bucket = 0;
    while (bucket < kRequestBucketsUs.size() && us > kRequestBucketsUs[bucket]) ++bucket;
    took[bucket].fetch_add(1, kRelaxed);
    took_us_total.fetch_add(us, kRelaxed);
  }
};

}  // namespace sluice::control
