// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow_buckets.h"

#include <algorithm>
#include <new>

namespace sluice::dataplane {

std::size_t FlowBuckets::buckets_for(std::uint32_t flows_max) noexcept {
  return std::bit_ceil(std::max<std::size_t>(std::size_t{flows_max} * 2 / kPlaces, 2));
}

FlowBuckets::FlowBuckets(std::byte* memory, std::uint32_t flows_max) noexcept
    : buckets_(new (memory) Bucket[buckets_for(flows_max)]()), mask_(buckets_for(flows_max) - 1) {}

void FlowBuckets::count_away(Bucket& home, int change) noexcept {
  const std::uint32_t count = away_count(home);
  if (count == kAwayCountMax) return;
  home.cells[0] += static_cast<std::uint32_t>(change) << kAwayCountShift;
}

void FlowBuckets::put(Bucket& bucket, std::size_t index, std::uint16_t tag, std::uint16_t due_s,
                      FlowIndex cell, bool away) noexcept {
  bucket.tags[index] = tag;
  bucket.due_s[index] = due_s;
  const std::uint32_t kept = bucket.cells[index] & (kAwayCountMax << kAwayCountShift);
  bucket.cells[index] = kept | cell | (away ? kAway : 0);
}

// Moves one flow of a full bucket to its other bucket. False: those are full too.
bool FlowBuckets::make_room(Bucket* bucket) noexcept {
  for (std::size_t i = 0; i < kPlaces; ++i) {
    Bucket* other = other_of(bucket, bucket->tags[i]);
    const unsigned free = matches(*other, 0);
    if (free == 0) continue;
    const bool was_away = bucket->cells[i] & kAway;
    put(*other, static_cast<std::size_t>(std::countr_zero(free)), bucket->tags[i], bucket->due_s[i],
        bucket->cells[i] & kCellMask, !was_away);
    count_away(was_away ? *other : *bucket, was_away ? -1 : 1);
    bucket->tags[i] = 0;
    return true;
  }
  return false;
}

bool FlowBuckets::insert(std::uint64_t hash, FlowIndex cell, std::uint16_t due_s) noexcept {
  const std::uint16_t tag = tag_of(hash);
  Bucket* home = home_of(hash);
  Bucket* other = other_of(home, tag);
  Bucket* bucket = home;
  if (matches(*home, 0) == 0) {
    if (matches(*other, 0) != 0) {
      bucket = other;
    } else if (!make_room(home)) {
      if (!make_room(other)) return false;
      bucket = other;
    }
  }
  const auto index = static_cast<std::size_t>(std::countr_zero(matches(*bucket, 0)));
  put(*bucket, index, tag, due_s, cell, bucket != home);
  if (bucket != home) count_away(*home, 1);
  return true;
}

void FlowBuckets::erase(const Place& place) noexcept {
  Bucket& bucket = *place.bucket;
  if (bucket.cells[place.index] & kAway)
    count_away(*other_of(&bucket, bucket.tags[place.index]), -1);
  bucket.tags[place.index] = 0;
}

}  // namespace sluice::dataplane
