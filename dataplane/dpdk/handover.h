// SPDX-License-Identifier: Apache-2.0
//
// Frames on their way from one worker to another: to the owner of their flow, or, judged, to the
// worker that may use the port they leave by.
//
// Owner: each ring has one worker that puts in and one that takes out. None with a single worker.
// Limits: kHandoverFrames wait in a ring; beyond it the frame drops where it stands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "rules/result.h"

struct rte_mbuf;
struct rte_ring;

namespace sluice::dataplane::dpdk {

inline constexpr unsigned kHandoverFrames = 1024;

class Handover {
 public:
  // Error: system (no memory for the rings).
  [[nodiscard]] static rules::Result<Handover> open(unsigned workers);
  ~Handover();
  Handover(Handover&& other) noexcept;
  Handover& operator=(Handover&&) = delete;

  // Frames not yet judged, for their owner. False: full.
  [[nodiscard]] bool give(unsigned from, unsigned to, rte_mbuf* frame) noexcept;
  unsigned take(unsigned from, unsigned to, std::span<rte_mbuf*> frames) noexcept;
  // Frames that passed; m->port is the port that they leave by.
  [[nodiscard]] bool give_passed(unsigned from, unsigned to, rte_mbuf* frame) noexcept;
  unsigned take_passed(unsigned from, unsigned to, std::span<rte_mbuf*> frames) noexcept;

 private:
  explicit Handover(unsigned workers) : workers_(workers) {}
  [[nodiscard]] std::size_t index(unsigned from, unsigned to) const noexcept {
    return std::size_t{from} * workers_ + to;
  }
  unsigned workers_;
  std::vector<rte_ring*> judge_;   // [from * workers + to]
  std::vector<rte_ring*> passed_;  // the same
};

}  // namespace sluice::dataplane::dpdk
