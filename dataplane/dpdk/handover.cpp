// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dpdk/handover.h"

#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <string>
#include <utility>

namespace sluice::dataplane::dpdk {
namespace {

void free_rings(std::vector<rte_ring*>& rings) {
  for (rte_ring* ring : rings) {
    void* frame = nullptr;
    while (ring != nullptr && rte_ring_dequeue(ring, &frame) == 0)
      rte_pktmbuf_free(static_cast<rte_mbuf*>(frame));
    rte_ring_free(ring);
  }
  rings.clear();
}

unsigned take_from(rte_ring* ring, std::span<rte_mbuf*> frames) noexcept {
  return rte_ring_dequeue_burst(ring, reinterpret_cast<void**>(frames.data()),
                                static_cast<unsigned>(frames.size()), nullptr);
}

}  // namespace

rules::Result<Handover> Handover::open(unsigned workers) {
  Handover handover(workers);
  if (workers == 1) return handover;
  for (auto* rings : {&handover.judge_, &handover.passed_}) {
    rings->resize(std::size_t{workers} * workers, nullptr);
    for (std::size_t i = 0; i < rings->size(); ++i) {
      if (i / workers == i % workers) continue;
      const std::string name = (rings == &handover.judge_ ? "judge" : "passed") + std::to_string(i);
      (*rings)[i] = rte_ring_create(name.c_str(), kHandoverFrames, SOCKET_ID_ANY,
                                    RING_F_SP_ENQ | RING_F_SC_DEQ);
      if ((*rings)[i] == nullptr) {
        return rules::fail(rules::ErrorCode::system,
                           std::string("no memory for the queues between workers (") +
                               rte_strerror(rte_errno) + "); reserve more huge pages");
      }
    }
  }
  return handover;
}

Handover::Handover(Handover&& other) noexcept
    : workers_(other.workers_),
      judge_(std::exchange(other.judge_, {})),
      passed_(std::exchange(other.passed_, {})) {}

Handover::~Handover() {
  free_rings(judge_);
  free_rings(passed_);
}

bool Handover::give(unsigned from, unsigned to, rte_mbuf* frame) noexcept {
  return rte_ring_enqueue(judge_[index(from, to)], frame) == 0;
}
unsigned Handover::take(unsigned from, unsigned to, std::span<rte_mbuf*> frames) noexcept {
  return take_from(judge_[index(from, to)], frames);
}
bool Handover::give_passed(unsigned from, unsigned to, rte_mbuf* frame) noexcept {
  return rte_ring_enqueue(passed_[index(from, to)], frame) == 0;
}
unsigned Handover::take_passed(unsigned from, unsigned to, std::span<rte_mbuf*> frames) noexcept {
  return take_from(passed_[index(from, to)], frames);
}

}  // namespace sluice::dataplane::dpdk
