// SPDX-License-Identifier: Apache-2.0
//
// Fragment tracker: which datagram a fragment belongs to, whether it may lie where it lies, and
// the verdict of the datagram's first fragment. Nothing is merged, nothing rewritten.
//
// Owner:  one worker; no locks.
// Limits: datagrams_max datagrams of at most kPartsMax pieces, kLifetimeUs each; kHeldFramesMax
//         frames that wait for their first fragment, kHeldPerDatagram of one datagram, kHoldUs
//         each. All memory taken at start.
// Cost:   one cache line and the datagram's entry for a fragment; nothing for other packets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/flow_table.h"
#include "dataplane/packet.h"
#include "dataplane/verdict.h"

namespace sluice::dataplane {

// The identity of a datagram. 40 bytes without padding: compared and hashed as words. A datagram
// between two load balancers of one node comes by twice, once from each side: `way` tells them
// apart. IPv6 hosts reassemble without a look at the protocol (RFC 8200 §4.5), so it is 0 there.
struct DatagramKey {
  std::uint64_t local_high = 0;
  std::uint64_t local_low = 0;
  std::uint64_t remote_high = 0;
  std::uint64_t remote_low = 0;
  std::uint32_t id = 0;
  std::uint16_t zone = 0;
  std::uint8_t protocol = 0;
  std::uint8_t way = 0;  // direction and family

  bool operator==(const DatagramKey&) const = default;
};
static_assert(sizeof(DatagramKey) == sizeof(FlowKey));

[[nodiscard]] DatagramKey datagram_key_of(const Packet& packet) noexcept;

// A frame that was held, on its way back to whoever handed it in.
struct ReleasedFrame {
  std::uint64_t ticket = 0;  // of its Frame
  std::uint32_t size_bytes = 0;
  Verdict verdict;
};

enum class DatagramState : std::uint8_t {
  waiting,  // for its first fragment; what came is held
  passing,  // the first fragment passed
  dropped,  // the first fragment was dropped, or some fragment was invalid: so is the rest
};

// What a later fragment makes of the verdict of its first.
[[nodiscard]] inline Verdict verdict_of_later(Verdict first) noexcept {
  if (first.flow == FlowKind::fresh || first.flow == FlowKind::adopted)
    first.flow = FlowKind::established;
  return first;
}

// How a fragment fits to what was seen of its datagram before.
enum class Fit : std::uint8_t { fits, duplicate, contradicts };

struct alignas(64) Datagram {
  static constexpr std::size_t kPartsMax = 128;  // 65535 bytes over links of 576
  struct Part {
    std::uint16_t offset_bytes;
    std::uint16_t size_bytes;
  };

  DatagramKey key;
  Verdict verdict;  // of the first fragment
  // What to judge again when a newer table came: the first fragment as a whole packet.
  FlowKey flow;
  PacketKind kind = PacketKind::fragment;
  std::uint8_t protocol = 0;
  std::uint16_t service = 0;
  std::uint32_t tcp_begin = 0;  // number of the byte at offset 0, were the headers payload

  DatagramState state = DatagramState::waiting;
  bool has_first = false;
  std::uint16_t parts_count = 0;
  std::uint16_t held_count = 0;
  std::uint32_t end_bytes = 0;   // where the last fragment ends; 0: not seen
  std::uint32_t last_bytes = 0;  // the farthest byte seen, one past it
  std::uint32_t seen_bytes = 0;
  std::uint32_t held_first = 0;  // frames in order of arrival: indexes; valid if held_count != 0
  std::uint32_t held_last = 0;
  std::uint32_t older = 0;  // list of waiting datagrams
  std::uint32_t younger = 0;
  std::array<Part, kPartsMax> parts;
};

// How it works. A bucket is one line of 8 places: tag, age and rank of a datagram, whose entry has
// a fixed place beside it. Under pressure the rank decides who gives way in the bucket (the hash is
// keyed, so nobody chooses his neighbours): finished and dropped datagrams first; then the oldest
// of the newcomer's own address pair, so that a pair that floods pushes out itself; then the oldest
// of those that wait or are fresh; and for a datagram of a live flow (both directions seen) the
// oldest of its kind. Dropped datagrams push out dropped ones only, and waiting ones never take
// more than half a bucket from those that pass.
//
// Frames without a first are held in one queue of datagrams by age. When it is full the oldest
// datagram leaves, not the newcomer: who is merely reordered waits for microseconds.
class FragmentTracker {
 public:
  static constexpr std::uint32_t kLifetimeUs = 2'000'000;
  static constexpr std::uint32_t kHoldUs = 200'000;
  static constexpr std::uint32_t kHeldFramesMax = 1024;
  static constexpr std::uint16_t kHeldPerDatagram = 64;
  static constexpr std::uint32_t kDatagramsMax = 1u << 20;
  static constexpr std::uint32_t kBurstMax = 32;  // frames between two emptyings of the released

  // Bytes that a tracker of `datagrams_max` (1 .. kDatagramsMax) needs: zeroed, 64-byte aligned.
  [[nodiscard]] static std::size_t size_bytes(std::uint32_t datagrams_max) noexcept;
  FragmentTracker(std::span<std::byte> memory, std::uint32_t datagrams_max,
                  HashSecret secret) noexcept;

  // Ends what has waited too long; to be called before the packets of a burst.
  void pass_time(TimeNs now) noexcept;

  // Null: not there, or its time is over.
  [[nodiscard]] Datagram* find(const DatagramKey& key) noexcept;
  // Adds the fragment to what was seen, unless it contradicts that.
  [[nodiscard]] static Fit add(Datagram& datagram, const Fragment& fragment) noexcept;
  // The verdict for the whole datagram, given by `first` (or by a fragment that was invalid).
  // `datagram` may be null: it is entered, if there is room. Held frames are released with it.
  // `is_of_live_flow`: a flow that has seen both directions.
  void settle(Datagram* datagram, const Packet& first, const Verdict& verdict,
              bool is_of_live_flow = false) noexcept;
  // As the pieces go by, a finished datagram no longer counts as one in progress.
  void note_progress(Datagram& datagram) noexcept;
  // Keeps a frame whose first fragment is not there yet. False: no room (fragment_orphan).
  [[nodiscard]] bool hold(Datagram* datagram, const Packet& packet, const Frame& frame,
                          const Verdict& verdict) noexcept;

  // Frames whose waiting is over, in order of arrival within a datagram. False: no more. To be
  // emptied after each burst.
  [[nodiscard]] bool next_released(ReleasedFrame& frame) noexcept;
  // Drops all that are held: at the end.
  void drop_held() noexcept;

  [[nodiscard]] std::uint64_t held() const noexcept { return held_; }
  [[nodiscard]] std::uint64_t tracked() const noexcept { return tracked_; }
  [[nodiscard]] std::uint64_t replaced() const noexcept { return replaced_; }

 private:
  static constexpr std::size_t kPlaces = 8;
  static constexpr std::uint32_t kNone = 0xffffffff;
  static constexpr std::size_t kWaitingPlaces = 4;  // of a bucket, if others want the rest

  enum class Rank : std::uint8_t { free, over, waiting, fresh, live };

  struct alignas(64) Bucket {
    std::array<std::uint32_t, kPlaces> born_us;
    std::array<std::uint16_t, kPlaces> tags;
    std::array<std::uint8_t, kPlaces> pairs;  // a byte of the two addresses, hashed
    std::array<Rank, kPlaces> ranks;
  };
  static_assert(sizeof(Bucket) == 64);

  struct Held {
    ReleasedFrame frame;
    std::uint32_t next;
  };

  static std::size_t buckets_for(std::uint32_t datagrams_max) noexcept;
  [[nodiscard]] std::uint64_t hash(const DatagramKey& key) const noexcept;
  [[nodiscard]] std::uint8_t pair_of(DatagramKey key) const noexcept;
  [[nodiscard]] std::uint32_t index_of(const Datagram& datagram) const noexcept {
    return static_cast<std::uint32_t>(&datagram - datagrams_);
  }
  [[nodiscard]] Bucket& bucket_of(std::uint32_t index) const noexcept {
    return buckets_[index / kPlaces];
  }
  [[nodiscard]] bool is_over(const Bucket& bucket, std::size_t place) const noexcept {
    return now_us_ - bucket.born_us[place] >= kLifetimeUs;
  }

  // A new entry with the key. Null: all places of its bucket rank above it.
  [[nodiscard]] Datagram* enter(const DatagramKey& key, Rank rank) noexcept;
  // A newcomer.
  struct Claim {
    const DatagramKey& key;
    std::uint8_t pair;
    Rank rank;
  };
  // The place in its bucket that it may have; kPlaces: none.
  [[nodiscard]] std::size_t place_for(std::size_t bucket, const Claim& claim) const noexcept;
  // How dear a place is to it; kPlaceTaken: not to be had.
  [[nodiscard]] int price_of(std::size_t bucket, std::size_t place,
                             const Claim& claim) const noexcept;
  static constexpr int kPlaceTaken = 9;
  void erase(std::uint32_t index) noexcept;
  void set_rank(const Datagram& datagram, Rank rank) noexcept;
  void expire(std::size_t bucket, bool all) noexcept;  // what is over

  void join_waiting(Datagram& datagram) noexcept;
  void leave_waiting(Datagram& datagram) noexcept;
  // Moves the frames of a datagram that no longer waits to the released ones. Null: as orphans.
  void release(Datagram& datagram, const Verdict* verdict) noexcept;

  HashSecret secret_;
  Bucket* buckets_ = nullptr;
  std::size_t bucket_mask_ = 0;
  Datagram* datagrams_ = nullptr;  // [bucket * kPlaces + place]
  Held* frames_ = nullptr;
  std::uint32_t free_frames_ = kNone;  // lists by Held::next
  std::uint32_t released_first_ = kNone;
  std::uint32_t released_last_ = kNone;
  std::uint32_t oldest_ = kNone;  // waiting datagrams by age
  std::uint32_t youngest_ = kNone;
  std::uint32_t held_ = 0;
  TimeNs now_ = 0;
  std::uint32_t now_us_ = 0;
  std::size_t expire_at_ = 0;
  std::uint64_t tracked_ = 0;
  std::uint64_t replaced_ = 0;
};

}  // namespace sluice::dataplane
