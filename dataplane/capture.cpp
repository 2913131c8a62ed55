// SPDX-License-Identifier: Apache-2.0
#include "dataplane/capture.h"

#include <algorithm>
#include <cstring>

namespace sluice::dataplane {
namespace {

// As the parser tells zones apart; a tag that is cut off is none.
std::uint16_t zone_of(const Frame& frame, const Ingress& ingress) noexcept {
  const bool is_tagged = frame.size >= 18 && frame.bytes[12] == 0x81 && frame.bytes[13] == 0x00;
  const std::size_t vlan =
      is_tagged ? (std::size_t{frame.bytes[14]} << 8 | frame.bytes[15]) & 0xfff : 0;
  return ingress.zone_of_vlan[vlan];
}

}  // namespace

DropCapture::DropCapture(std::uint8_t worker, std::uint32_t records_per_s)
    : records_(std::make_unique<std::array<DropRecord, kRecords>>()),
      records_per_s_(records_per_s),
      worker_(worker) {}

void DropCapture::begin_second(TimeNs now) noexcept {
  second_ns_ = now;
  taken_.fill(0);
}

bool DropCapture::record(const Frame& frame, const Ingress& ingress, DropReason reason,
                         rules::LbId lb, std::uint64_t generation, TimeNs now) noexcept {
  const std::uint32_t tail = tail_.load(std::memory_order_relaxed);
  if (tail - head_.load(std::memory_order_acquire) >= kRecords) return false;
  DropRecord& record = (*records_)[tail % kRecords];
  record.time_ns = now;
  record.generation = generation;
  record.lb = lb;
  record.size_bytes = frame.size;
  record.head_bytes =
      static_cast<std::uint16_t>(std::min<std::size_t>(frame.size, DropRecord::kHeadBytes));
  record.zone = zone_of(frame, ingress);
  record.reason = reason;
  record.side = ingress.side;
  record.worker = worker_;
  std::memcpy(record.head.data(), frame.bytes, record.head_bytes);
  tail_.store(tail + 1, std::memory_order_release);
  return true;
}

bool DropCapture::take(DropRecord& into) noexcept {
  const std::uint32_t head = head_.load(std::memory_order_relaxed);
  if (head == tail_.load(std::memory_order_acquire)) return false;
  into = (*records_)[head % kRecords];
  head_.store(head + 1, std::memory_order_release);
  return true;
}

}  // namespace sluice::dataplane
