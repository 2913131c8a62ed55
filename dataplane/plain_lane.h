// SPDX-License-Identifier: Apache-2.0
//
// The plain packets of a burst (plain_tcp.h) on their way past the stages that they do not need:
// read, LB, then under tracking = rules_first the rules, and for whom they do not allow, like for
// all under strict, the flow. Each step does all of them before the next begins, so that their
// misses overlap. Whoever is not waved through at the end goes the whole way, beginning with what
// is known of it here.
//
// Owner: one worker, within its pipeline.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "dataplane/flow_stage.h"
#include "dataplane/plain_tcp.h"

namespace sluice::dataplane {

struct PlainSets {
  PacketMask plain = 0;
  PacketMask tracked = 0;  // of these: a flow must let it pass; all under strict
};

class PlainLane {
 public:
  static constexpr std::size_t kPacketsMax = PlainTcp::kPacketsMax;

  // The plain packets among the frames, at most kPacketsMax, whose LB is known.
  [[nodiscard]] PacketMask read(std::span<const Frame> frames, const Ingress& ingress,
                                const rules::Table& table) noexcept;
  // Those of the set that the rules allow in their own direction.
  [[nodiscard]] PacketMask allowed(PacketMask set, const rules::Table& table) const noexcept;

  // Between the two, time for the buckets to come.
  void fetch_buckets(PacketMask set, const FlowTable& flows) noexcept;
  void fetch_flows(PacketMask set, const FlowTable& flows) noexcept;
  // From packet i on, passes the plain ones: at once where no flow is asked, the others if they are
  // data of a flow about which nothing is in question. Returns the first that must go the whole
  // way, or is not plain; the count of frames: none.
  template <Tracking kTracking>
  [[nodiscard]] std::size_t pass_from(std::size_t i, const PlainSets& sets, FlowStage& stage,
                                      std::uint64_t generation,
                                      std::span<Verdict> verdicts) const noexcept;
  // For the whole way. `hash` and `cell` are right if they were fetched.
  void expand_into(std::size_t i, const Frame& frame, Work& work) const noexcept;

 private:
  // If all that were read are plain.
  [[nodiscard]] bool are_of_one_lb() const noexcept;
  [[nodiscard]] rules::LbMatch find_lb(std::size_t i, const rules::Table& table) const noexcept;
  [[nodiscard]] PacketMask find_lbs(PacketMask plain, const rules::Table& table) noexcept;

  rules::Direction direction_ = rules::Direction::inbound;
  std::size_t count_ = 0;  // frames of the burst
  PlainTcp plain_;
  std::array<rules::LbMatch, kPacketsMax> lbs_;
  std::array<std::uint64_t, kPacketsMax> hashes_{};
  std::array<FlowIndex, kPacketsMax> cells_{};
};

}  // namespace sluice::dataplane
