// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow_table.h"

#include <algorithm>
#include <bit>
#include <new>

namespace sluice::dataplane {
namespace {

// The farthest time that a bucket's 16 bits can tell from the past; later ones are looked at then.
constexpr std::uint32_t kDueMax = 30'000;

bool is_ipv6(const FlowKey& key) {
  return key.family == rules::Family::ipv6;
}
std::uint32_t cells_for(const FlowKey& key) {
  return is_ipv6(key) ? 2 : 1;
}
}  // namespace

std::size_t FlowTable::size_bytes(std::uint32_t flows_max) noexcept {
  return FlowBuckets::size_bytes(flows_max) + EmbryonicFlows::size_bytes(flows_max) +
         std::size_t{flows_max} * sizeof(Flow);
}

FlowTable::FlowTable(FlowMemory memory, std::uint32_t flows_max, HashSecret secret) noexcept
    : secret_(secret),
      buckets_(memory.data(), flows_max),
      embryonic_(memory.data() + FlowBuckets::size_bytes(flows_max), flows_max),
      cells_(reinterpret_cast<Flow*>(memory.data() + FlowBuckets::size_bytes(flows_max) +
                                     EmbryonicFlows::size_bytes(flows_max))),
      cells_max_(flows_max),
      free_count_(flows_max) {}

void FlowTable::set_clock(TimeNs now, const FlowTimeouts& timeouts) noexcept {
  now_s_ = static_cast<std::uint32_t>(now / 1'000'000'000);
  const auto set = [&](auto state, std::uint32_t seconds) {
    timeouts_s_[static_cast<std::size_t>(state)] = seconds;
  };
  set(TcpState::syn_sent, timeouts.tcp_opening_s);
  set(TcpState::syn_crossed, timeouts.tcp_opening_s);
  set(TcpState::syn_received, timeouts.tcp_opening_s);
  set(TcpState::established, timeouts.tcp_established_s);
  set(TcpState::fin_opener, timeouts.tcp_closing_s);
  set(TcpState::fin_other, timeouts.tcp_closing_s);
  set(TcpState::closing, timeouts.tcp_closing_s);
  set(TcpState::reset, timeouts.tcp_reset_s);
  set(FlowState::udp_unreplied, timeouts.udp_unreplied_s);
  set(FlowState::udp_replied, timeouts.udp_replied_s);
  set(FlowState::icmp_echo, timeouts.icmp_s);
  set(FlowState::other, timeouts.other_s);
}

std::uint16_t FlowTable::due_s(const Flow& flow) const noexcept {
  const std::uint32_t idle = now_s_ - flow.seen_s, allowed = timeout_s(flow.state);
  const std::uint32_t left = idle > allowed ? 0 : allowed - idle + 1;
  return static_cast<std::uint16_t>(now_s_ + std::min(left, kDueMax));
}

bool FlowTable::has_addresses(const Flow& flow, const FlowKey& key) const noexcept {
  const FlowAddresses& addresses = addresses_of(flow);
  return addresses.local_high == key.local_high && addresses.local_low == key.local_low &&
         addresses.remote_high == key.remote_high && addresses.remote_low == key.remote_low;
}

Flow* FlowTable::find(const FlowKey& key, std::uint64_t hash) noexcept {
  const FlowBuckets::Place place =
      buckets_.find(hash, [&](FlowIndex cell) { return is_at(cell, key, hash); });
  if (place.bucket == nullptr) return nullptr;
  Flow* flow = cells_ + place.cell();
  if (!is_over(*flow)) return flow;
  erase_at(place);
  return nullptr;
}

// All flows to or from one remote host share a slot: whoever opens them.
FlowTable::Host FlowTable::host_of(const FlowKey& key) const noexcept {
  FlowKey host;
  host.remote_high = key.remote_high;
  host.remote_low = key.remote_low;
  host.family = key.family;
  return embryonic_.slot_of(hash(host));
}

// Lets flows without a reply give way until a new flow of the host may stand. False: nobody can.
bool FlowTable::make_room(Host host, std::uint32_t cells) noexcept {
  // Twice: a host that took more while there was more must shrink as room does.
  for (int i = 0; i < 2 && embryonic_.is_beyond_share(host, free_count_); ++i) {
    erase(cells_ + embryonic_.oldest_of(host));
    ++replaced_by_share_;
  }
  while (free_count_ < cells) {
    FlowIndex candidates[EmbryonicFlows::kCandidates];
    const std::size_t count = embryonic_.candidates(candidates);
    if (count == 0) return false;
    FlowIndex oldest = candidates[0];
    for (std::size_t i = 1; i < count; ++i)
      if (now_s_ - cells_[candidates[i]].seen_s > now_s_ - cells_[oldest].seen_s)
        oldest = candidates[i];
    erase(cells_ + oldest);
    ++replaced_;
  }
  return true;
}

FlowIndex FlowTable::take_cell() noexcept {
  --free_count_;
  if (free_count_ + 1 == cells_max_ - fresh_) return fresh_++;
  const FlowIndex cell = free_;
  free_ = cells_[cell].generation;
  // Of the next one.
  __builtin_prefetch(cells_ + free_, 1);
  embryonic_.prefetch_links(free_);
  return cell;
}

void FlowTable::give_cell(FlowIndex cell) noexcept {
  cells_[cell].flags = 0;
  cells_[cell].generation = free_;
  free_ = cell;
  ++free_count_;
}

Flow* FlowTable::insert(const FlowKey& key, std::uint64_t hash, FlowState state,
                        Host host) noexcept {
  if (!make_room(host, cells_for(key))) return nullptr;
  const FlowIndex cell = take_cell();
  Flow* flow = new (cells_ + cell) Flow;
  flow->state = state;
  flow->seen_s = now_s_;
  if (!buckets_.insert(hash, cell, due_s(*flow))) {
    give_cell(cell);
    return nullptr;
  }
  flow->flags = kFlowLive;
  flow->identity = key.identity();
  flow->source = host;
  if (is_ipv6(key)) {
    const FlowIndex second = take_cell();
    flow->addresses = (std::uint64_t{check_of(hash)} << 32) | second;
    new (cells_ + second)
        FlowAddresses{key.local_high, key.local_low, key.remote_high, key.remote_low};
    cells_[second].flags = 0;  // so that at(second) is no flow
  } else {
    flow->addresses = key.ipv4_addresses();
  }
  embryonic_.add(host, cell);
  ++live_;
  return flow;
}

FlowKey FlowTable::key_of(const Flow& flow) const noexcept {
  FlowKey key;
  key.set_identity(flow.identity);
  if (is_ipv6(key)) {
    const FlowAddresses& addresses = addresses_of(flow);
    key.local_high = addresses.local_high;
    key.local_low = addresses.local_low;
    key.remote_high = addresses.remote_high;
    key.remote_low = addresses.remote_low;
  } else {
    key.local_low = flow.addresses >> 32;
    key.remote_low = static_cast<std::uint32_t>(flow.addresses);
  }
  return key;
}

void FlowTable::erase(Flow* flow) noexcept {
  erase_at(buckets_.place_of(hash(key_of(*flow)), index_of(flow)));
}

void FlowTable::erase_at(const FlowBuckets::Place& place) noexcept {
  const FlowIndex cell = place.cell();
  Flow& flow = cells_[cell];
  buckets_.erase(place);
  if (!(flow.flags & kFlowReplied)) embryonic_.remove(flow.source, cell);
  if (is_ipv6(key_of(flow))) give_cell(static_cast<std::uint32_t>(flow.addresses));
  give_cell(cell);
  --live_;
}

void FlowTable::set_state(Flow* flow, std::uint64_t hash, FlowState state) noexcept {
  const bool sooner = timeout_s(state) < timeout_s(flow->state);
  flow->state = state;
  if (sooner) buckets_.place_of(hash, index_of(flow)).due_s() = due_s(*flow);
}

void FlowTable::mark_replied(Flow* flow) noexcept {
  if (flow->flags & kFlowReplied) return;
  flow->flags |= kFlowReplied;
  embryonic_.remove(flow->source, index_of(flow));
}

template <class Visit>
[[gnu::always_inline]] inline void FlowTable::each_due(std::size_t first, std::size_t buckets,
                                                       Visit visit) noexcept {
  const auto now = static_cast<std::uint16_t>(now_s_);
  for (std::size_t n = 0; n < buckets; ++n) {
    FlowBuckets::Bucket& bucket = buckets_.at(first + n);
    for (unsigned bits = FlowBuckets::due(bucket, now); bits != 0; bits &= bits - 1)
      visit(FlowBuckets::Place{&bucket, static_cast<std::size_t>(std::countr_zero(bits))});
  }
}

// Where flows end, each by way of a handful of lines that lie apart, these are fetched ahead. What
// only fetches must be inlined early: GCC takes such a function to do nothing, and leaves it out.
void FlowTable::expire(std::size_t buckets) noexcept {
  const std::size_t first = expire_at_, next = first + buckets;
  expire_at_ = next;
  for (std::size_t n = 0; n < buckets; ++n)
    __builtin_prefetch(&buckets_.at(next + buckets + n));  // two calls ahead
  if (is_expiring_) {
    each_due(
        next, buckets, [&](const FlowBuckets::Place& place) __attribute__((always_inline)) {
          __builtin_prefetch(cells_ + place.cell(), 1);
          embryonic_.prefetch_links(place.cell());
        });
    each_due(
        first, buckets, [&](const FlowBuckets::Place& place) __attribute__((always_inline)) {
          const Flow& flow = cells_[place.cell()];
          embryonic_.prefetch_slot(flow.source);
          if (!(flow.flags & kFlowReplied)) embryonic_.prefetch_neighbours(place.cell());
        });
  }
  is_expiring_ = false;
  each_due(first, buckets, [&](const FlowBuckets::Place& place) {
    is_expiring_ = true;
    const Flow& flow = cells_[place.cell()];
    if (is_over(flow)) {
      erase_at(place);
    } else {
      place.due_s() = due_s(flow);
    }
  });
}

}  // namespace sluice::dataplane
