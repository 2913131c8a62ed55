// SPDX-License-Identifier: Apache-2.0
//
// Connection table: remembers allowed flows so that replies pass without a rule.
//
// Owner:  one worker; no locks. Others read only the counters.
// Limits: flows_max entries, all memory taken at start. Full: the oldest flow without a reply gives
//         way; a flow that has seen both directions never does (DropReason::flow_table_full).
// Cost:   one cache line on a miss, two on a hit, twice that when the second choice is needed.
#pragma once

#include <array>
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
  rules::RuleRef rule;             // that allowed the opener
  std::uint32_t generation = 0;    // low 32 bits of the generation that judged the opener
  std::uint32_t last_seen_ms = 0;  // wraps; only differences are used
  TcpState tcp = TcpState::syn_sent;
  rules::Direction opener = rules::Direction::inbound;
  bool replied = false;  // both directions seen; TCP: handshake complete
  bool live = false;     // false: on the free list
};
static_assert(sizeof(Flow) == 64);

// Memory for the table: zeroed, 64-byte aligned. dpdk/ hands in huge pages, others the heap.
using FlowMemory = std::span<std::byte>;

inline constexpr std::uint32_t kFlowsMax = 64u << 20;

// How it works. Flows lie in an array and never move. A bucket is one line of 8 places: a 16-bit
// tag of the hash and the index of the flow. A key has two buckets; a new flow takes a place in the
// emptier one. There are two places for each flow, so a bucket that overflows while the table has
// room is an event for the counters, not for the user.
class FlowTable {
 public:
  // Bytes that a table of `flows_max` (1 .. kFlowsMax) entries needs.
  [[nodiscard]] static std::size_t size_bytes(std::uint32_t flows_max) noexcept;
  FlowTable(FlowMemory memory, std::uint32_t flows_max, HashSecret secret) noexcept;

  [[nodiscard]] std::uint64_t hash(const FlowKey& key) const noexcept {
    return hash_of(key, secret_);
  }
  void prefetch(std::uint64_t hash) const noexcept;

  // Null: not there, or its time is over.
  [[nodiscard]] Flow* find(const FlowKey& key, std::uint64_t hash, TimeNs now,
                           const FlowTimeouts& timeouts) noexcept;
  // A new live flow with `key`, which must not be there. Null: full (flow_table_full).
  [[nodiscard]] Flow* insert(const FlowKey& key, std::uint64_t hash, TimeNs now,
                             const FlowTimeouts& timeouts) noexcept;
  void erase(Flow* flow) noexcept;
  static void touch(Flow* flow, TimeNs now) noexcept;
  void mark_replied(Flow* flow) noexcept;

  // Ends the flows whose time is over in the next `buckets` buckets; called once a burst.
  void expire(TimeNs now, const FlowTimeouts& timeouts, std::uint32_t buckets) noexcept;

  [[nodiscard]] std::uint64_t live() const noexcept { return live_; }
  [[nodiscard]] std::uint64_t embryonic() const noexcept { return embryonic_; }
  [[nodiscard]] std::uint64_t replaced() const noexcept { return replaced_; }

 private:
  static constexpr std::size_t kPlaces = 8;
  struct alignas(64) Bucket {
    std::array<std::uint16_t, kPlaces> tags;  // 0: free
    std::array<std::uint32_t, kPlaces> flows;
    std::array<std::uint16_t, kPlaces> spare;
  };
  static_assert(sizeof(Bucket) == 64);
  struct Place {
    Bucket* bucket;
    std::size_t index;
  };

  static std::size_t buckets_for(std::uint32_t flows_max) noexcept;
  [[nodiscard]] Bucket* first_bucket(std::uint64_t hash) const noexcept;
  [[nodiscard]] Bucket* second_bucket(std::uint64_t hash) const noexcept;
  [[nodiscard]] static std::uint16_t tag_of(std::uint64_t hash) noexcept;
  [[nodiscard]] bool is_over(const Flow& flow, TimeNs now,
                             const FlowTimeouts& timeouts) const noexcept;
  // A free place in the key's buckets, making one if a flow there may give way.
  bool find_place(std::uint64_t hash, TimeNs now, const FlowTimeouts& timeouts,
                  Place& place) noexcept;
  // The embryonic flow seen longest ago among a few buckets from the key's on.
  [[nodiscard]] Flow* oldest_embryonic(std::uint64_t hash, std::size_t buckets,
                                       TimeNs now) noexcept;
  void free_place(Flow* flow) noexcept;

  HashSecret secret_;
  Bucket* buckets_ = nullptr;
  std::size_t bucket_mask_ = 0;
  Flow* flows_ = nullptr;
  std::uint32_t* free_ = nullptr;  // a stack of indexes of flows that are not live
  std::uint32_t free_count_ = 0;
  std::size_t expire_at_ = 0;
  std::uint64_t live_ = 0;
  std::uint64_t embryonic_ = 0;
  std::uint64_t replaced_ = 0;
};

}  // namespace sluice::dataplane
