// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow_table.h"

#include <algorithm>
#include <bit>
#include <new>

#include "rules/model.h"

namespace sluice::dataplane {
namespace {

std::uint32_t to_ms(TimeNs now) {
  return static_cast<std::uint32_t>(now / 1'000'000);
}

std::uint32_t timeout_s(const Flow& flow, const FlowTimeouts& timeouts) {
  switch (flow.key.protocol) {
    case rules::kProtocolTcp:
      switch (flow.tcp) {
        case TcpState::syn_sent:
        case TcpState::syn_received:
          return timeouts.tcp_opening_s;
        case TcpState::established:
          return timeouts.tcp_established_s;
        case TcpState::reset:
          return timeouts.tcp_reset_s;
        default:
          return timeouts.tcp_closing_s;
      }
    case rules::kProtocolUdp:
      return flow.replied ? timeouts.udp_replied_s : timeouts.udp_unreplied_s;
    case rules::kProtocolIcmp:
    case rules::kProtocolIcmpv6:
      return timeouts.icmp_s;
    default:
      return timeouts.other_s;
  }
}

// How many buckets a full table looks through for a flow that may give way.
constexpr std::size_t kReplaceBuckets = 32;

}  // namespace

std::size_t FlowTable::buckets_for(std::uint32_t flows_max) noexcept {
  return std::bit_ceil(std::max<std::size_t>(std::size_t{flows_max} * 2 / kPlaces, 2));
}

std::size_t FlowTable::size_bytes(std::uint32_t flows_max) noexcept {
  return buckets_for(flows_max) * sizeof(Bucket) + std::size_t{flows_max} * sizeof(Flow) +
         std::size_t{flows_max} * sizeof(std::uint32_t);
}

FlowTable::FlowTable(FlowMemory memory, std::uint32_t flows_max, HashSecret secret) noexcept
    : secret_(secret) {
  const std::size_t buckets = buckets_for(flows_max);
  std::byte* at = memory.data();
  buckets_ = new (at) Bucket[buckets]();
  bucket_mask_ = buckets - 1;
  at += buckets * sizeof(Bucket);
  flows_ = new (at) Flow[flows_max]();
  at += std::size_t{flows_max} * sizeof(Flow);
  free_ = new (at) std::uint32_t[flows_max];
  free_count_ = flows_max;
  for (std::uint32_t i = 0; i < flows_max; ++i) free_[i] = flows_max - 1 - i;
}

FlowTable::Bucket* FlowTable::first_bucket(std::uint64_t hash) const noexcept {
  return buckets_ + (hash & bucket_mask_);
}

FlowTable::Bucket* FlowTable::second_bucket(std::uint64_t hash) const noexcept {
  return buckets_ + (((hash >> 32) * 0x9e3779b1u) & bucket_mask_);
}

std::uint16_t FlowTable::tag_of(std::uint64_t hash) noexcept {
  const auto tag = static_cast<std::uint16_t>(hash >> 48);
  return tag == 0 ? 1 : tag;
}

void FlowTable::prefetch(std::uint64_t hash) const noexcept {
  __builtin_prefetch(first_bucket(hash));
  __builtin_prefetch(second_bucket(hash));
}

bool FlowTable::is_over(const Flow& flow, TimeNs now, const FlowTimeouts& timeouts) const noexcept {
  // Idle times are at most 2^32 ms (49 days); the sweep meets every flow long before that wraps.
  return std::uint64_t{to_ms(now) - flow.last_seen_ms} >=
         std::uint64_t{timeout_s(flow, timeouts)} * 1000;
}

Flow* FlowTable::find(const FlowKey& key, std::uint64_t hash, TimeNs now,
                      const FlowTimeouts& timeouts) noexcept {
  const std::uint16_t tag = tag_of(hash);
  for (Bucket* bucket : {first_bucket(hash), second_bucket(hash)}) {
    for (std::size_t i = 0; i < kPlaces; ++i) {
      if (bucket->tags[i] != tag) continue;
      Flow* flow = flows_ + bucket->flows[i];
      if (!(flow->key == key)) continue;
      if (!is_over(*flow, now, timeouts)) return flow;
      erase(flow);
      return nullptr;
    }
  }
  return nullptr;
}

Flow* FlowTable::oldest_embryonic(std::uint64_t hash, std::size_t buckets, TimeNs now) noexcept {
  Flow* oldest = nullptr;
  for (std::size_t i = 0; i < buckets; ++i) {
    for (Bucket* start : {first_bucket(hash), second_bucket(hash)}) {
      const Bucket& bucket =
          buckets_[(static_cast<std::size_t>(start - buckets_) + i) & bucket_mask_];
      for (std::size_t place = 0; place < kPlaces; ++place) {
        if (bucket.tags[place] == 0) continue;
        Flow* flow = flows_ + bucket.flows[place];
        if (flow->replied) continue;
        if (oldest == nullptr ||
            to_ms(now) - flow->last_seen_ms > to_ms(now) - oldest->last_seen_ms)
          oldest = flow;
      }
    }
  }
  return oldest;
}

bool FlowTable::find_place(std::uint64_t hash, TimeNs now, const FlowTimeouts& timeouts,
                           Place& place) noexcept {
  Bucket* best = nullptr;
  std::size_t best_free = 0;
  for (Bucket* bucket : {first_bucket(hash), second_bucket(hash)}) {
    for (std::size_t i = 0; i < kPlaces; ++i) {
      if (bucket->tags[i] != 0 && is_over(flows_[bucket->flows[i]], now, timeouts))
        erase(flows_ + bucket->flows[i]);
    }
    const auto free = static_cast<std::size_t>(
        std::count(bucket->tags.begin(), bucket->tags.end(), std::uint16_t{0}));
    if (free > best_free) {
      best = bucket;
      best_free = free;
    }
  }
  if (best == nullptr) {
    Flow* victim = oldest_embryonic(hash, 1, now);
    if (victim == nullptr) return false;
    erase(victim);
    ++replaced_;
    return find_place(hash, now, timeouts, place);
  }
  const auto free = std::find(best->tags.begin(), best->tags.end(), std::uint16_t{0});
  place = {best, static_cast<std::size_t>(free - best->tags.begin())};
  return true;
}

Flow* FlowTable::insert(const FlowKey& key, std::uint64_t hash, TimeNs now,
                        const FlowTimeouts& timeouts) noexcept {
  Place place{};
  if (!find_place(hash, now, timeouts, place)) return nullptr;
  if (free_count_ == 0) {
    Flow* victim = oldest_embryonic(hash, kReplaceBuckets, now);
    if (victim == nullptr) return nullptr;
    erase(victim);
    ++replaced_;
  }
  const std::uint32_t index = free_[--free_count_];
  place.bucket->tags[place.index] = tag_of(hash);
  place.bucket->flows[place.index] = index;
  Flow* flow = flows_ + index;
  *flow = Flow{};
  flow->key = key;
  flow->live = true;
  flow->last_seen_ms = to_ms(now);
  ++live_;
  ++embryonic_;
  return flow;
}

void FlowTable::free_place(Flow* flow) noexcept {
  const std::uint64_t key_hash = hash(flow->key);
  const auto index = static_cast<std::uint32_t>(flow - flows_);
  for (Bucket* bucket : {first_bucket(key_hash), second_bucket(key_hash)}) {
    for (std::size_t i = 0; i < kPlaces; ++i) {
      if (bucket->tags[i] != 0 && bucket->flows[i] == index) {
        bucket->tags[i] = 0;
        return;
      }
    }
  }
}

void FlowTable::erase(Flow* flow) noexcept {
  free_place(flow);
  flow->live = false;
  --live_;
  if (!flow->replied) --embryonic_;
  free_[free_count_++] = static_cast<std::uint32_t>(flow - flows_);
}

void FlowTable::touch(Flow* flow, TimeNs now) noexcept {
  flow->last_seen_ms = to_ms(now);
}

void FlowTable::mark_replied(Flow* flow) noexcept {
  if (flow->replied) return;
  flow->replied = true;
  --embryonic_;
}

void FlowTable::expire(TimeNs now, const FlowTimeouts& timeouts, std::uint32_t buckets) noexcept {
  for (std::uint32_t n = 0; n < buckets; ++n) {
    Bucket& bucket = buckets_[expire_at_];
    expire_at_ = (expire_at_ + 1) & bucket_mask_;
    for (std::size_t i = 0; i < kPlaces; ++i) {
      if (bucket.tags[i] == 0) continue;
      Flow* flow = flows_ + bucket.flows[i];
      if (is_over(*flow, now, timeouts)) erase(flow);
    }
  }
}

}  // namespace sluice::dataplane
