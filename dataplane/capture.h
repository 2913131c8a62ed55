// SPDX-License-Identifier: Apache-2.0
//
// Samples of dropped packets on their way from a worker to whoever shows them: a ring with one
// writer and one reader.
//
// Of each reason the first records_per_s of a second are taken, so that a flood costs a compare and
// an add a packet and does not hide the other reasons; the rest is counted.
//
// Owner:  the worker writes, one thread reads.
// Limits: kRecords wait; beyond them a record is counted, not kept.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "dataplane/flow.h"
#include "dataplane/packet.h"
#include "dataplane/verdict.h"

namespace sluice::dataplane {

struct DropRecord {
  static constexpr std::size_t kHeadBytes = 96;
  std::uint64_t time_ns = 0;  // the worker's clock; from the door: since 1970
  std::uint64_t generation = 0;
  rules::LbId lb = 0;  // 0: of none, or dropped before it was looked for
  std::uint32_t size_bytes = 0;
  std::uint16_t head_bytes = 0;
  std::uint16_t zone = kNoZone;
  DropReason reason = DropReason::none;
  Side side = Side::outside;  // where it came in
  std::uint8_t worker = 0;
  std::uint8_t spare = 0;
  std::array<std::uint8_t, kHeadBytes> head{};  // from the Ethernet header on
  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return {head.data(), head_bytes}; }
};
static_assert(sizeof(DropRecord) == 128);

class DropCapture {
 public:
  static constexpr std::uint32_t kRecords = 1024;

  // `records_per_s`: of each reason; 0: none at all.
  DropCapture(std::uint8_t worker, std::uint32_t records_per_s);

  // The worker, for each packet it drops.
  void note(const Frame& frame, const Ingress& ingress, DropReason reason, rules::LbId lb,
            std::uint64_t generation, TimeNs now) noexcept {
    if (now - second_ns_ >= kSecondNs) begin_second(now);
    if (taken_[static_cast<std::size_t>(reason)]++ < records_per_s_ &&
        record(frame, ingress, reason, lb, generation, now))
      return;
    skipped_.store(skipped_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }

  // The reader: false: none waits.
  [[nodiscard]] bool take(DropRecord& into) noexcept;
  // Dropped, but not recorded. Any thread.
  [[nodiscard]] std::uint64_t skipped() const noexcept {
    return skipped_.load(std::memory_order_relaxed);
  }

 private:
  static constexpr TimeNs kSecondNs = 1'000'000'000;
  void begin_second(TimeNs now) noexcept;
  [[nodiscard]] bool record(const Frame& frame, const Ingress& ingress, DropReason reason,
                            rules::LbId lb, std::uint64_t generation, TimeNs now) noexcept;

  std::unique_ptr<std::array<DropRecord, kRecords>> records_;  // [head, tail): reader's
  const std::uint32_t records_per_s_;
  const std::uint8_t worker_;
  TimeNs second_ns_ = 0;                               // worker
  std::array<std::uint32_t, kDropReasons> taken_{};    // worker: in this second
  alignas(64) std::atomic<std::uint64_t> skipped_{0};  // worker: rw, others: r
  std::atomic<std::uint32_t> tail_{0};                 // worker: rw, reader: r
  alignas(64) std::atomic<std::uint32_t> head_{0};     // reader: rw, worker: r
};

}  // namespace sluice::dataplane
