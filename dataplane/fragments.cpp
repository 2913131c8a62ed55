// SPDX-License-Identifier: Apache-2.0
#include "dataplane/fragments.h"

#include <algorithm>
#include <bit>
#include <new>

namespace sluice::dataplane {
namespace {

// Frames released within a burst keep their slots until the caller has taken them: so many more
// than may be held, one for each packet of a burst.
constexpr std::uint32_t kFrameSlots = FragmentTracker::kHeldFramesMax + FragmentTracker::kBurstMax;

std::uint16_t tag_of(std::uint64_t hash) {
  const auto tag = static_cast<std::uint16_t>(hash >> 48);
  return tag == 0 ? 1 : tag;
}

bool are_of_one_pair(const DatagramKey& a, const DatagramKey& b) {
  return a.local_high == b.local_high && a.local_low == b.local_low &&
         a.remote_high == b.remote_high && a.remote_low == b.remote_low;
}

}  // namespace

DatagramKey datagram_key_of(const Packet& packet) noexcept {
  const bool v6 = packet.local.family == rules::Family::ipv6;
  const auto way =
      static_cast<std::uint8_t>((v6 ? 2 : 0) | static_cast<std::uint8_t>(packet.direction));
  const std::uint8_t protocol = v6 ? 0 : packet.protocol;
  return {packet.local.high,  packet.local.low, packet.remote.high, packet.remote.low,
          packet.fragment.id, packet.zone,      protocol,           way};
}

std::size_t FragmentTracker::buckets_for(std::uint32_t datagrams_max) noexcept {
  return std::bit_ceil((std::size_t{datagrams_max} + kPlaces - 1) / kPlaces);
}

std::size_t FragmentTracker::size_bytes(std::uint32_t datagrams_max) noexcept {
  const std::size_t buckets = buckets_for(datagrams_max);
  return buckets * (sizeof(Bucket) + kPlaces * sizeof(Datagram)) + kFrameSlots * sizeof(Held);
}

FragmentTracker::FragmentTracker(std::span<std::byte> memory, std::uint32_t datagrams_max,
                                 HashSecret secret) noexcept
    : secret_(secret) {
  const std::size_t buckets = buckets_for(datagrams_max);
  std::byte* at = memory.data();
  buckets_ = new (at) Bucket[buckets]();
  bucket_mask_ = buckets - 1;
  at += buckets * sizeof(Bucket);
  datagrams_ = new (at) Datagram[buckets * kPlaces];
  at += buckets * kPlaces * sizeof(Datagram);
  frames_ = new (at) Held[kFrameSlots];
  for (std::uint32_t i = 0; i < kFrameSlots; ++i)
    frames_[i].next = i + 1 == kFrameSlots ? kNone : i + 1;
  free_frames_ = 0;
}

std::uint64_t FragmentTracker::hash(const DatagramKey& key) const noexcept {
  return hash_of(std::bit_cast<FlowKey>(key), secret_);
}

std::uint8_t FragmentTracker::pair_of(DatagramKey key) const noexcept {
  key.id = 0;
  key.protocol = 0;
  return static_cast<std::uint8_t>(hash(key));
}

// ---- Time ----

void FragmentTracker::pass_time(TimeNs now) noexcept {
  // Ages are kept in 32 bits of microseconds, which wrap after 71 minutes: each bucket is looked
  // at once a minute, and a pause ends whatever is there.
  constexpr TimeNs kRound = 60'000'000'000;
  const TimeNs elapsed = now - now_;
  if (now < now_ + 1000) return;
  now_ = now;
  now_us_ = static_cast<std::uint32_t>(now / 1000);
  const bool was_pause = elapsed >= kLifetimeUs * TimeNs{1000};
  while (oldest_ != kNone &&
         (was_pause || now_us_ - bucket_of(oldest_).born_us[oldest_ % kPlaces] >= kHoldUs))
    erase(oldest_);
  const std::size_t buckets = bucket_mask_ + 1;
  for (std::size_t n = was_pause ? buckets : elapsed * buckets / kRound + 1; n > 0; --n) {
    expire(expire_at_, was_pause);
    expire_at_ = (expire_at_ + 1) & bucket_mask_;
  }
  __builtin_prefetch(&buckets_[expire_at_]);  // of the next call
}

void FragmentTracker::expire(std::size_t bucket, bool all) noexcept {
  for (std::size_t place = 0; place < kPlaces; ++place)
    if (buckets_[bucket].tags[place] != 0 && (all || is_over(buckets_[bucket], place)))
      erase(static_cast<std::uint32_t>(bucket * kPlaces + place));
}

// ---- Entries ----

Datagram* FragmentTracker::find(const DatagramKey& key) noexcept {
  const std::uint64_t key_hash = hash(key);
  const std::size_t at = key_hash & bucket_mask_;
  const Bucket& bucket = buckets_[at];
  for (std::size_t place = 0; place < kPlaces; ++place) {
    if (bucket.tags[place] != tag_of(key_hash)) continue;
    const auto index = static_cast<std::uint32_t>(at * kPlaces + place);
    if (!(datagrams_[index].key == key)) continue;
    if (!is_over(bucket, place)) return &datagrams_[index];
    erase(index);
    return nullptr;
  }
  return nullptr;
}

int FragmentTracker::price_of(std::size_t at, std::size_t place,
                              const Claim& claim) const noexcept {
  const Bucket& bucket = buckets_[at];
  const Rank there = bucket.ranks[place];
  if (bucket.tags[place] == 0 || is_over(bucket, place)) return 0;
  if (there == Rank::over) return 1;
  if (claim.rank == Rank::over) return kPlaceTaken;
  if (there == Rank::live && claim.rank != Rank::live) return kPlaceTaken;
  if (there == Rank::fresh && claim.rank == Rank::waiting) {
    const auto waiting = std::count(bucket.ranks.begin(), bucket.ranks.end(), Rank::waiting);
    if (static_cast<std::size_t>(waiting) >= kWaitingPlaces) return kPlaceTaken;
  }
  if (bucket.pairs[place] == claim.pair &&
      are_of_one_pair(datagrams_[at * kPlaces + place].key, claim.key))
    return 2;
  return there == Rank::live ? 4 : 3;
}

std::size_t FragmentTracker::place_for(std::size_t bucket, const Claim& claim) const noexcept {
  std::size_t best = kPlaces;
  int best_price = kPlaceTaken;
  std::uint32_t best_age = 0;
  for (std::size_t place = 0; place < kPlaces; ++place) {
    const int price = price_of(bucket, place, claim);
    const std::uint32_t age = now_us_ - buckets_[bucket].born_us[place];
    if (price == kPlaceTaken || price > best_price) continue;
    if (price == best_price && age <= best_age) continue;
    best = place;
    best_price = price;
    best_age = age;
  }
  return best;
}

Datagram* FragmentTracker::enter(const DatagramKey& key, Rank rank) noexcept {
  const std::uint64_t key_hash = hash(key);
  const std::size_t at = key_hash & bucket_mask_;
  Bucket& bucket = buckets_[at];
  const std::uint8_t pair = pair_of(key);
  const std::size_t place = place_for(at, {key, pair, rank});
  if (place == kPlaces) return nullptr;
  const auto index = static_cast<std::uint32_t>(at * kPlaces + place);
  if (bucket.tags[place] != 0) {
    if (bucket.ranks[place] != Rank::over && !is_over(bucket, place)) ++replaced_;
    erase(index);
  }
  bucket.tags[place] = tag_of(key_hash);
  bucket.born_us[place] = now_us_;
  bucket.pairs[place] = pair;
  bucket.ranks[place] = rank;
  ++tracked_;
  Datagram& datagram = datagrams_[index];
  datagram.key = key;
  datagram.verdict = {};
  datagram.state = DatagramState::waiting;
  datagram.has_first = false;
  datagram.parts_count = datagram.held_count = 0;
  datagram.end_bytes = datagram.last_bytes = datagram.seen_bytes = 0;
  datagram.older = datagram.younger = kNone;
  return &datagram;
}

void FragmentTracker::erase(std::uint32_t index) noexcept {
  Datagram& datagram = datagrams_[index];
  if (datagram.state == DatagramState::waiting) {
    leave_waiting(datagram);
    release(datagram, nullptr);
  }
  bucket_of(index).tags[index % kPlaces] = 0;
  bucket_of(index).ranks[index % kPlaces] = Rank::free;
  --tracked_;
}

void FragmentTracker::set_rank(const Datagram& datagram, Rank rank) noexcept {
  const std::uint32_t index = index_of(datagram);
  bucket_of(index).ranks[index % kPlaces] = rank;
}

// ---- Pieces ----

Fit FragmentTracker::add(Datagram& datagram, const Fragment& fragment) noexcept {
  const std::uint32_t first = fragment.offset_bytes, last = first + fragment.size_bytes;
  const auto parts = std::span(datagram.parts).first(datagram.parts_count);
  const auto is_same = [&](const Datagram::Part& part) {
    return part.offset_bytes == first && part.size_bytes == fragment.size_bytes;
  };
  // A datagram ends once, and nothing lies behind its end.
  const bool is_end_known = datagram.end_bytes != 0;
  if (!fragment.more && is_end_known && last != datagram.end_bytes) return Fit::contradicts;
  if (!fragment.more && last < datagram.last_bytes) return Fit::contradicts;
  if (fragment.more && is_end_known && last >= datagram.end_bytes) return Fit::contradicts;
  if (first < datagram.last_bytes) {
    for (const Datagram::Part& part : parts) {
      if (last <= part.offset_bytes) continue;
      if (std::uint32_t{part.offset_bytes} + part.size_bytes <= first) continue;
      // RFC 5722: any overlap but the same piece again.
      if (!is_same(part)) return Fit::contradicts;
      if (!fragment.more && !is_end_known) return Fit::contradicts;  // it was not the last before
      return Fit::duplicate;
    }
  }
  if (parts.size() == Datagram::kPartsMax) return Fit::contradicts;
  datagram.parts[datagram.parts_count++] = {fragment.offset_bytes, fragment.size_bytes};
  datagram.last_bytes = std::max(datagram.last_bytes, last);
  datagram.seen_bytes += fragment.size_bytes;
  if (first == 0) datagram.has_first = true;
  if (!fragment.more) datagram.end_bytes = last;
  return Fit::fits;
}

void FragmentTracker::note_progress(Datagram& datagram) noexcept {
  const bool is_whole = datagram.end_bytes != 0 && datagram.seen_bytes == datagram.end_bytes;
  if (is_whole && datagram.state == DatagramState::passing) set_rank(datagram, Rank::over);
}

void FragmentTracker::settle(Datagram* datagram, const Packet& first, const Verdict& verdict,
                             bool is_of_live_flow) noexcept {
  const Rank rank = !verdict.passes() ? Rank::over : is_of_live_flow ? Rank::live : Rank::fresh;
  if (datagram == nullptr) {
    datagram = enter(datagram_key_of(first), rank);
    if (datagram == nullptr) return;  // later ones are orphans
    (void)add(*datagram, first.fragment);
  } else {
    if (datagram->state == DatagramState::waiting) leave_waiting(*datagram);
    set_rank(*datagram, rank);
  }
  datagram->state = verdict.passes() ? DatagramState::passing : DatagramState::dropped;
  datagram->verdict = verdict;
  datagram->flow = first.key;
  datagram->kind = first.kind;
  datagram->protocol = first.protocol;
  datagram->service = first.service;
  // SYN and FIN count as one number each.
  const std::uint32_t edges =
      ((first.tcp.flags & kTcpSyn) ? 1 : 0) + ((first.tcp.flags & kTcpFin) ? 1 : 0);
  datagram->tcp_begin = first.tcp.seq + edges + first.tcp.length - first.fragment.size_bytes;
  release(*datagram, &datagram->verdict);
  note_progress(*datagram);
}

// ---- Held frames ----

void FragmentTracker::join_waiting(Datagram& datagram) noexcept {
  const std::uint32_t index = index_of(datagram);
  datagram.older = youngest_;
  datagram.younger = kNone;
  (youngest_ == kNone ? oldest_ : datagrams_[youngest_].younger) = index;
  youngest_ = index;
}

void FragmentTracker::leave_waiting(Datagram& datagram) noexcept {
  (datagram.older == kNone ? oldest_ : datagrams_[datagram.older].younger) = datagram.younger;
  (datagram.younger == kNone ? youngest_ : datagrams_[datagram.younger].older) = datagram.older;
}

bool FragmentTracker::hold(Datagram* datagram, const Packet& packet, const Frame& frame,
                           const Verdict& verdict) noexcept {
  if (datagram != nullptr && datagram->held_count == kHeldPerDatagram) return false;
  if (datagram == nullptr) {
    datagram = enter(datagram_key_of(packet), Rank::waiting);
    if (datagram == nullptr) return false;
    join_waiting(*datagram);
    (void)add(*datagram, packet.fragment);
  }
  if (held_ == kHeldFramesMax) {
    const bool is_own = oldest_ == index_of(*datagram);
    erase(oldest_);
    if (is_own) return false;
  }
  if (free_frames_ == kNone) return false;
  const std::uint32_t slot = free_frames_;
  free_frames_ = frames_[slot].next;
  frames_[slot] = {{frame.ticket, frame.size, verdict}, kNone};
  (datagram->held_count == 0 ? datagram->held_first : frames_[datagram->held_last].next) = slot;
  datagram->held_last = slot;
  ++datagram->held_count;
  ++held_;
  return true;
}

void FragmentTracker::release(Datagram& datagram, const Verdict* verdict) noexcept {
  if (datagram.held_count == 0) return;
  for (std::uint32_t slot = datagram.held_first; slot != kNone; slot = frames_[slot].next) {
    Verdict& own = frames_[slot].frame.verdict;
    if (verdict != nullptr) {
      const rules::LbId lb = own.lb;
      own = verdict_of_later(*verdict);
      own.lb = lb;
    } else {
      own.is_held = false;
      own.reason = DropReason::fragment_orphan;
    }
  }
  (released_last_ == kNone ? released_first_ : frames_[released_last_].next) = datagram.held_first;
  released_last_ = datagram.held_last;
  held_ -= datagram.held_count;
  datagram.held_count = 0;
}

bool FragmentTracker::next_released(ReleasedFrame& frame) noexcept {
  if (released_first_ == kNone) return false;
  const std::uint32_t slot = released_first_;
  frame = frames_[slot].frame;
  released_first_ = frames_[slot].next;
  if (released_first_ == kNone) released_last_ = kNone;
  frames_[slot].next = free_frames_;
  free_frames_ = slot;
  return true;
}

void FragmentTracker::drop_held() noexcept {
  while (oldest_ != kNone) erase(oldest_);
}

}  // namespace sluice::dataplane
