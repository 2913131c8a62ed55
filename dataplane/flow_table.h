// SPDX-License-Identifier: Apache-2.0
//
// Connection table: remembers allowed flows so that replies pass without a rule.
//
// Owner:  one worker; no locks. Others read only the counters.
// Limits: flows_max entries, all memory taken at start. Full: the oldest flow without a reply gives
//         way; a flow that has seen both directions never does (DropReason::flow_table_full).
// Cost:   one cache line on a miss, two on a hit, twice that when the second choice is needed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "dataplane/flow_key.h"
#include "dataplane/snapshot.h"
#include "dataplane/tcp_state.h"
#include "rules/packet_key.h"

namespace sluice::dataplane {

using TimeNs = std::uint64_t;  // a monotonic clock, handed in with each burst

// 64 bytes: one cache line.
struct alignas(64) Flow {
  FlowKey key;
  rules::RuleRef rule;              // that allowed the opener
  std::uint32_t generation = 0;     // low 32 bits of the generation that judged the opener
  std::uint32_t last_seen_ms = 0;   // wraps; only differences are used
  TcpState tcp = TcpState::syn_sent;
  rules::Direction opener = rules::Direction::inbound;
  bool replied = false;             // both directions seen; TCP: handshake complete
  bool live = false;                // false: on the free list
};
static_assert(sizeof(Flow) == 64);

// Memory for the table: zeroed, 64-byte aligned. dpdk/ hands in huge pages, others the heap.
using FlowMemory = std::span<std::byte>;

class FlowTable {
 public:
  // Bytes that a table of `flows_max` (1 .. 64 Mi) entries needs.
  [[nodiscard]] static std::size_t size_bytes(std::uint32_t flows_max) noexcept;
  FlowTable(FlowMemory memory, std::uint32_t flows_max, HashSecret secret) noexcept;

  [[nodiscard]] std::uint64_t hash(const FlowKey& key) const noexcept;
  void prefetch(std::uint64_t hash) const noexcept;

  // Null: not there, or expired.
  [[nodiscard]] Flow* find(const FlowKey& key, std::uint64_t hash, TimeNs now,
                           const FlowTimeouts& timeouts) noexcept;
  // A new live flow with `key`, which must not be there. Null: full (flow_table_full).
  [[nodiscard]] Flow* insert(const FlowKey& key, std::uint64_t hash, TimeNs now,
                             const FlowTimeouts& timeouts) noexcept;
  void erase(Flow* flow) noexcept;
  void touch(Flow* flow, TimeNs now) noexcept;
  void mark_replied(Flow* flow) noexcept;

  // Ends expired flows in the next `buckets` buckets; called once a burst.
  void expire(TimeNs now, const FlowTimeouts& timeouts, std::uint32_t buckets) noexcept;

  [[nodiscard]] std::uint64_t live() const noexcept;
  [[nodiscard]] std::uint64_t embryonic() const noexcept;
  [[nodiscard]] std::uint64_t replaced() const noexcept;
};

}  // namespace sluice::dataplane
