// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dpdk/worker.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_ether.h>

namespace sluice::dataplane::dpdk {
namespace {

// How often a full transmit ring is tried again before its frames drop: about a ring's drain time.
constexpr int kTransmitTries = 64;
// Rounds without a frame after which flows are expired anyway; at once while they are reviewed.
constexpr unsigned kIdleRounds = 256;
// Cells looked at each round for a preview.
constexpr std::size_t kPreviewCells = 256;

Frame frame_of(const rte_mbuf* mbuf) noexcept {
  return {rte_pktmbuf_mtod(mbuf, const std::uint8_t*), mbuf->data_len,
          reinterpret_cast<std::uintptr_t>(mbuf)};
}

std::uint64_t ns_per_cycle_fixed() noexcept {
  return (std::uint64_t{1'000'000'000} << 32) / rte_get_tsc_hz();
}
TimeNs ns_of_cycles(std::uint64_t cycles, std::uint64_t fixed) noexcept {
  return static_cast<TimeNs>((static_cast<rules::Uint128>(cycles) * fixed) >> 32);
}

// Whom a frame that passed is for travels with it, to whoever sends it; no driver of ours reads
// this field of a frame that leaves.
void note_lb(rte_mbuf& mbuf, rules::LbId lb) noexcept {
  mbuf.hash.usr = lb;
}
rules::LbId lb_of(const rte_mbuf& mbuf) noexcept {
  return mbuf.hash.usr;
}

rules::Direction direction_from(Side side) noexcept {
  return side == Side::outside ? rules::Direction::inbound : rules::Direction::outbound;
}

// A frame in several pieces is longer than a port of ours may receive: its headers lie, or the
// driver does.
Verdict verdict_on_pieces(const rte_mbuf& mbuf, Verdict verdict) noexcept {
  if (verdict.passes() && mbuf.nb_segs != 1) verdict.reason = DropReason::malformed;
  return verdict;
}

}  // namespace

Worker::Worker(unsigned worker_index, unsigned worker_lcore, Shared& shared, Tables tables,
               std::uint32_t drop_records_per_s)
    : inquiry(static_cast<std::uint8_t>(worker_index)),
      capture(static_cast<std::uint8_t>(worker_index), drop_records_per_s),
      index(worker_index),
      lcore(worker_lcore),
      shared_(shared),
      flows_(tables.flows),
      fragments_(tables.fragments),
      tally_(tables.tally),
      pipeline_(flows_, fragments_),
      preview_(flows_),
      ns_per_cycle_fixed_(ns_per_cycle_fixed()) {}

TimeNs worker_clock_ns() noexcept {
  return ns_of_cycles(rte_rdtsc(), ns_per_cycle_fixed());
}

TimeNs Worker::now() const noexcept {
  return ns_of_cycles(rte_rdtsc(), ns_per_cycle_fixed_);
}

void Worker::run() noexcept {
  rte_rcu_qsbr_thread_online(shared_.rcu, index);
  unsigned idle_rounds = 0;
  while (!shared_.stop.load(std::memory_order_relaxed)) {
    // One snapshot a round, taken after the last quiescent report and never kept beyond the next.
    current_ = snapshot.load(std::memory_order_acquire);
    if (current_ != nullptr) generation.store(current_->generation(), std::memory_order_release);
    const unsigned frames = poll_ports() + (shared_.workers > 1 ? poll_handover() : 0);
    const bool reviews = current_ != nullptr && !pipeline_.is_reviewed(*current_);
    if (frames == 0 && (++idle_rounds >= kIdleRounds || reviews)) {
      judge_and_send(0, {});
      idle_rounds = 0;
    }
    answer_preview();
    if (inquiry.is_asked()) inquiry.serve(flows_, tally_, current_, frames == 0);
    rte_rcu_qsbr_quiescent(shared_.rcu, index);
    rounds.store(rounds.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  pipeline_.drop_held();
  dispose_released();
  pipeline_.report(tally_.counts);
  counts.publish(tally_.counts);
  rte_rcu_qsbr_thread_offline(shared_.rcu, index);
  ended.store(true, std::memory_order_release);
}

unsigned Worker::poll_ports() noexcept {
  unsigned total = 0;
  for (std::size_t port = 0; port < shared_.ports.size(); ++port) {
    const std::uint16_t queues = shared_.ports[port].rx_queues;
    if (queues == 1 && port % shared_.workers != index) continue;
    total += poll_port(port, static_cast<std::uint16_t>(queues == 1 ? 0 : index));
  }
  return total;
}

unsigned Worker::poll_port(std::size_t port, std::uint16_t queue) noexcept {
  Burst frames;
  const unsigned count =
      rte_eth_rx_burst(shared_.ports[port].port_id, queue, frames.data(), kBurstMax);
  if (count == 0) return 0;
  unsigned kept = 0;
  for (unsigned i = 0; i < count; ++i) {
    rte_mbuf* frame = frames[i];
    // The driver took the tag out of the frame; judged and sent is what was on the wire.
    if ((frame->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) && rte_vlan_insert(&frame) != 0) {
      discard(port, frame, DropReason::malformed, 0);
      continue;
    }
    frames[kept++] = frame;
  }
  if (shared_.workers > 1) kept = hand_over(port, {frames.data(), kept});
  judge_and_send(port, {frames.data(), kept});
  return count;
}

unsigned Worker::hand_over(std::size_t port, std::span<rte_mbuf*> frames) noexcept {
  const Ingress ingress = shared_.ports[port].ingress();
  unsigned kept = 0;
  for (rte_mbuf* frame : frames) {
    const unsigned owner = shared_.owner.of(frame_of(frame), ingress, index);
    if (owner == index) {
      frames[kept++] = frame;
      continue;
    }
    frame->port = static_cast<std::uint16_t>(port);
    if (!shared_.handover->give(index, owner, frame))
      discard(port, frame, DropReason::handover_full, 0);
  }
  return kept;
}

unsigned Worker::poll_handover() noexcept {
  unsigned total = 0;
  for (unsigned from = 0; from < shared_.workers; ++from) {
    if (from == index) continue;
    Burst frames;
    const unsigned count = shared_.handover->take(from, index, frames);
    total += count;
    // A burst of the pipeline comes in at one port.
    for (unsigned first = 0, next = 0; first < count; first = next) {
      const std::uint16_t port = frames[first]->port;
      while (next < count && frames[next]->port == port) ++next;
      judge_and_send(port, {frames.data() + first, next - first});
    }
    total += send_passed(from);
  }
  if (total > 0) counts.publish(tally_.counts);
  return total;
}

// All that wait now, not a burst of them: the publisher counts on it (drain_passed). What comes in
// meanwhile may wait for the next round.
unsigned Worker::send_passed(unsigned from) noexcept {
  unsigned sent = 0;
  Burst frames;
  for (unsigned count = kBurstMax; count == kBurstMax && sent < kHandoverFrames; sent += count) {
    count = shared_.handover->take_passed(from, index, frames);
    // A burst of the driver leaves by one port.
    for (unsigned first = 0, next = 0; first < count; first = next) {
      const std::uint16_t port = frames[first]->port;
      while (next < count && frames[next]->port == port) ++next;
      transmit(port, {frames.data() + first, next - first});
    }
  }
  return sent;
}

void Worker::judge_and_send(std::size_t port, std::span<rte_mbuf*> frames) noexcept {
  std::array<Frame, kBurstMax> views;
  std::array<Verdict, kBurstMax> verdicts;
  for (std::size_t i = 0; i < frames.size(); ++i) views[i] = frame_of(frames[i]);
  now_ns_ = now();
  pipeline_.judge(current_, shared_.ports[port].ingress(), {views.data(), frames.size()}, now_ns_,
                  {verdicts.data(), frames.size()});

  std::size_t passed = 0;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    if (verdicts[i].is_held) {
      frames[i]->port = static_cast<std::uint16_t>(port);
      continue;
    }
    verdicts[i] = verdict_on_pieces(*frames[i], verdicts[i]);
    tally_.judged(verdicts[i]);
    if (verdicts[i].passes()) {
      note_lb(*frames[i], verdicts[i].lb);
      frames[passed++] = frames[i];
    } else {
      discard(port, frames[i], verdicts[i].reason, verdicts[i].lb);
    }
  }
  leave(shared_.ports[port].peer, frames.first(passed));
  dispose_released();
  pipeline_.report(tally_.counts);
  counts.publish(tally_.counts);
  if (pipeline_.fates() != own_fates_) fates.publish(own_fates_ = pipeline_.fates());
}

void Worker::answer_preview() noexcept {
  const PreviewRequest* request = preview_request.load(std::memory_order_acquire);
  if (request != nullptr && preview_.go_on(*request, kPreviewCells))
    preview.publish(preview_.counts());
}

void Worker::dispose_released() noexcept {
  ReleasedFrame released;
  while (pipeline_.next_released(released)) {
    auto* frame = reinterpret_cast<rte_mbuf*>(static_cast<std::uintptr_t>(released.ticket));
    const Verdict verdict = verdict_on_pieces(*frame, released.verdict);
    if (verdict.passes()) {
      note_lb(*frame, verdict.lb);
      leave(shared_.ports[frame->port].peer, {&frame, 1});
    } else {
      discard(frame->port, frame, verdict.reason, verdict.lb);
    }
  }
}

void Worker::leave(std::size_t port, std::span<rte_mbuf*> frames) noexcept {
  const unsigned owner = static_cast<unsigned>(port % shared_.workers);
  if (shared_.ports[port].tx_queues == shared_.workers || owner == index)
    return transmit(port, frames);
  for (rte_mbuf* frame : frames) {
    frame->port = static_cast<std::uint16_t>(port);
    if (!shared_.handover->give_passed(index, owner, frame))
      discard(shared_.ports[port].peer, frame, DropReason::transmit_full, lb_of(*frame));
  }
}

void Worker::transmit(std::size_t port, std::span<rte_mbuf*> frames) noexcept {
  const Port& out = shared_.ports[port];
  const auto queue = static_cast<std::uint16_t>(out.tx_queues == shared_.workers ? index : 0);
  const auto direction = direction_from(shared_.ports[out.peer].side);
  // A sent mbuf is no longer ours to read.
  std::array<std::uint32_t, kBurstMax> sizes;
  std::array<rules::LbId, kBurstMax> lbs;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    sizes[i] = frames[i]->pkt_len;
    lbs[i] = lb_of(*frames[i]);
  }
  std::size_t sent = 0;
  for (int tries = 0; sent < frames.size() && tries < kTransmitTries; ++tries)
    sent += rte_eth_tx_burst(out.port_id, queue, frames.data() + sent,
                             static_cast<std::uint16_t>(frames.size() - sent));
  tally_.passed(direction, {lbs.data(), sent}, {sizes.data(), sent});
  for (std::size_t i = sent; i < frames.size(); ++i)
    discard(out.peer, frames[i], DropReason::transmit_full, lbs[i]);
}

void Worker::discard(std::size_t port, rte_mbuf* frame, DropReason reason,
                     rules::LbId lb) noexcept {
  const Ingress ingress = shared_.ports[port].ingress();
  tally_.dropped(lb, direction_from(ingress.side), reason, frame->pkt_len);
  const std::uint64_t generation_in_force = current_ == nullptr ? 0 : current_->generation();
  capture.note(frame_of(frame), ingress, reason, lb, generation_in_force, now_ns_);
  rte_pktmbuf_free(frame);
}

}  // namespace sluice::dataplane::dpdk
