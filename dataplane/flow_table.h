// SPDX-License-Identifier: Apache-2.0
//
// Connection table: remembers allowed flows so that replies pass without a rule.
//
// Flows lie in cells of a cache line each and never move; an IPv6 flow takes a second cell for its
// addresses. FlowBuckets finds a cell by hash, EmbryonicFlows knows who gives way when room runs
// short. Time is counted in whole seconds: a flow lives for its idle time and at most a second
// longer, and a packet of a flow that was seen in this second rewrites nothing.
//
// Owner:  one worker; no locks. Others read only the counters.
// Limits: flows_max cells, all memory taken at start. Full: a flow without a reply gives way; one
//         that has seen both directions never does (DropReason::flow_table_full).
// Cost:   a miss one cache line, a hit two (IPv6: three).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/embryonic_flows.h"
#include "dataplane/flow.h"
#include "dataplane/flow_buckets.h"
#include "dataplane/snapshot.h"

namespace sluice::dataplane {

// Memory for the table: zeroed, 64-byte aligned. dpdk/ hands in huge pages, others the heap.
using FlowMemory = std::span<std::byte>;

inline constexpr std::uint32_t kFlowsMax = 64u << 20;

class FlowTable {
 public:
  // Bytes that a table of `flows_max` (1 .. kFlowsMax) IPv4 flows, half as many IPv6 flows, needs.
  [[nodiscard]] static std::size_t size_bytes(std::uint32_t flows_max) noexcept;
  FlowTable(FlowMemory memory, std::uint32_t flows_max, HashSecret secret) noexcept;

  // The clock of all that follows, once a burst.
  void set_clock(TimeNs now, const FlowTimeouts& timeouts) noexcept;
  [[nodiscard]] std::uint32_t now_s() const noexcept { return now_s_; }

  [[nodiscard]] std::uint64_t hash(const FlowKey& key) const noexcept {
    return hash_of(key, secret_);
  }
  void hash_each(std::span<const Ipv4FlowWords> flows, std::uint64_t* hashes) const noexcept {
    dataplane::hash_each(flows, secret_, hashes);
  }
  // Two steps, a stage each: the bucket's line, then that of the flow it may name, whose cell is
  // the answer; kNoCell: there is no such flow now.
  static constexpr FlowIndex kNoCell = 0xffffffff;
  void prefetch_bucket(std::uint64_t hash) const noexcept { buckets_.prefetch(hash); }
  [[nodiscard]] FlowIndex prefetch_flow(std::uint64_t hash) const noexcept {
    FlowIndex found = kNoCell;
    (void)buckets_.find(hash, [&](FlowIndex cell) {
      __builtin_prefetch(cells_ + cell, 1);
      found = cell;
      return false;  // all of equal tag
    });
    return found;
  }

  // Null: not there, or its time is over.
  [[nodiscard]] Flow* find(const FlowKey& key, std::uint64_t hash) noexcept;
  // The same, where prefetch_flow named a cell: mostly that is it.
  [[nodiscard]] Flow* find(const FlowKey& key, std::uint64_t hash, FlowIndex cell) noexcept {
    if (cell != kNoCell && is_at(cell, key, hash)) {
      Flow* flow = cells_ + cell;
      if ((flow->flags & kFlowLive) && !is_over(*flow)) return flow;
    }
    return find(key, hash);
  }
  // What it takes to meet flows where prefetch_flow named their cells.
  struct View {
    Flow* cells;
    const std::uint32_t* timeouts_s;  // by FlowState
    std::uint32_t now_s;
  };
  [[nodiscard]] View view() const noexcept { return {cells_, timeouts_s_.data(), now_s_}; }
  // Where the flows of the key's remote host queue. Two steps ahead of insert, as its lines lie
  // apart.
  using Host = std::uint16_t;
  [[nodiscard]] Host prefetch_host(const FlowKey& key) const noexcept {
    const Host host = host_of(key);
    embryonic_.prefetch_slot(host);
    return host;
  }
  void prefetch_queue(Host host) const noexcept { embryonic_.prefetch_newest(host); }
  // A new live flow with `key`, which must not be there. Null: full (flow_table_full).
  [[nodiscard]] Flow* insert(const FlowKey& key, std::uint64_t hash, FlowState state) noexcept {
    return insert(key, hash, state, host_of(key));
  }
  [[nodiscard]] Flow* insert(const FlowKey& key, std::uint64_t hash, FlowState state,
                             Host host) noexcept;
  void erase(Flow* flow) noexcept;
  void touch(Flow* flow) const noexcept {
    if (flow->seen_s != now_s_) flow->seen_s = now_s_;
  }
  // A state with another idle time.
  void set_state(Flow* flow, std::uint64_t hash, FlowState state) noexcept;
  void mark_replied(Flow* flow) noexcept;
  [[nodiscard]] FlowKey key_of(const Flow& flow) const noexcept;
  // Its idle time is over; the sweep has not met it yet.
  [[nodiscard]] bool is_over(const Flow& flow) const noexcept {
    return now_s_ - flow.seen_s > timeout_s(flow.state);
  }

  // It ends if it stays idle for so long.
  [[nodiscard]] std::uint32_t idle_left_s(const Flow& flow) const noexcept {
    const std::uint32_t idle = now_s_ - flow.seen_s, allowed = timeout_s(flow.state);
    return idle > allowed ? 0 : allowed - idle;
  }

  // Ends the flows whose time is over in the next `buckets` buckets; called once a burst.
  void expire(std::size_t buckets) noexcept;

  // Cells that were ever in use: at(0) .. at(used() - 1). Null: free, no flow's first cell, or
  // the flow's time is over.
  [[nodiscard]] std::uint32_t used() const noexcept { return fresh_; }
  [[nodiscard]] Flow* at(FlowIndex cell) const noexcept {
    Flow* flow = stored_at(cell);
    return flow != nullptr && !is_over(*flow) ? flow : nullptr;
  }
  // The same, without asking whether the flow's time is over.
  [[nodiscard]] Flow* stored_at(FlowIndex cell) const noexcept {
    Flow* flow = cells_ + cell;
    return flow->flags & kFlowLive ? flow : nullptr;
  }

  // Ahead of at(); past the end is harmless.
  void prefetch(FlowIndex cell) const noexcept { __builtin_prefetch(cells_ + cell, 1); }

  [[nodiscard]] std::uint32_t cells_max() const noexcept { return cells_max_; }
  [[nodiscard]] std::uint32_t cells_free() const noexcept { return free_count_; }
  // Little room is left: see Counts::flows_pressed.
  [[nodiscard]] bool is_pressed() const noexcept { return free_count_ < cells_max_ / 4; }
  [[nodiscard]] std::uint64_t live() const noexcept { return live_; }
  [[nodiscard]] std::uint64_t embryonic() const noexcept { return embryonic_.count(); }
  // Flows that gave way: to another host's, to one of the same host beyond its share.
  [[nodiscard]] std::uint64_t replaced() const noexcept { return replaced_; }
  [[nodiscard]] std::uint64_t replaced_by_share() const noexcept { return replaced_by_share_; }

 private:
  [[nodiscard]] bool is_at(FlowIndex cell, const FlowKey& key, std::uint64_t hash) const noexcept {
    const Flow& flow = cells_[cell];
    if (flow.identity != key.identity()) return false;
    if (key.family == rules::Family::ipv4) return flow.addresses == key.ipv4_addresses();
    // 32 bits of the hash tell most IPv6 flows apart before the second cell is read.
    return flow.addresses >> 32 == check_of(hash) && has_addresses(flow, key);
  }
  [[nodiscard]] bool has_addresses(const Flow& flow, const FlowKey& key) const noexcept;
  [[nodiscard]] static std::uint32_t check_of(std::uint64_t hash) noexcept {
    return static_cast<std::uint32_t>(hash >> 16);
  }
  [[nodiscard]] std::uint32_t timeout_s(FlowState state) const noexcept {
    return timeouts_s_[static_cast<std::size_t>(state)];
  }
  [[nodiscard]] std::uint16_t due_s(const Flow& flow) const noexcept;
  [[nodiscard]] bool make_room(Host host, std::uint32_t cells) noexcept;
  [[nodiscard]] FlowIndex take_cell() noexcept;
  void give_cell(FlowIndex cell) noexcept;
  void erase_at(const FlowBuckets::Place& place) noexcept;
  [[nodiscard]] Host host_of(const FlowKey& key) const noexcept;
  // Calls visit(place) for what may be over in the buckets from `first` on.
  template <class Visit>
  void each_due(std::size_t first, std::size_t buckets, Visit visit) noexcept;
  [[nodiscard]] FlowIndex index_of(const Flow* flow) const noexcept {
    return static_cast<FlowIndex>(flow - cells_);
  }
  [[nodiscard]] FlowAddresses& addresses_of(const Flow& flow) const noexcept {
    return *reinterpret_cast<FlowAddresses*>(cells_ + static_cast<std::uint32_t>(flow.addresses));
  }

  HashSecret secret_;
  FlowBuckets buckets_;
  EmbryonicFlows embryonic_;
  Flow* cells_;
  std::uint32_t cells_max_;
  std::uint32_t fresh_ = 0;   // cells from here on were never used
  FlowIndex free_ = 0;        // the first of the cells given back, linked by `generation`
  std::uint32_t free_count_;  // given back or fresh
  std::array<std::uint32_t, kFlowStates> timeouts_s_{};
  std::uint32_t now_s_ = 0;
  std::size_t expire_at_ = 0;
  bool is_expiring_ = false;  // something was due just now
  std::uint64_t live_ = 0;
  std::uint64_t replaced_ = 0;
  std::uint64_t replaced_by_share_ = 0;
};

}  // namespace sluice::dataplane
