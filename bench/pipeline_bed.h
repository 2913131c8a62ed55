// SPDX-License-Identifier: Apache-2.0
//
// A pipeline and its flow table, as a worker has them, for benchmarks.
#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "bench/huge_memory.h"
#include "bench/tcp_trace.h"
#include "dataplane/pipeline.h"
#include "dataplane/tally.h"
#include "tests/dataplane/fragment_tracker_bed.h"

namespace sluice::bench {

// What is counted of a packet beside its verdict.
enum class Counting { none, worker, worker_lb_and_rule };

struct PipelineBed {
  PipelineBed(std::uint32_t flows_max, dataplane::Settings settings, bool all_outbound = false)
      : memory(dataplane::FlowTable::size_bytes(flows_max)),
        flows({memory.data(), dataplane::FlowTable::size_bytes(flows_max)}, flows_max, {11, 12}),
        pipeline(flows, fragments.tracker),
        snapshot(thousand_rules(settings, all_outbound)) {}

  // How many passed.
  std::size_t judge(dataplane::Side side, std::span<const dataplane::Frame> frames) {
    pipeline.judge(snapshot.get(), {side, zones.data()}, frames, now, verdicts);
    std::size_t passed = 0;
    for (std::size_t i = 0; i < frames.size(); ++i) passed += verdicts[i].passes();
    count(side, frames);
    return passed;
  }
  // As a worker disposes of a burst.
  void count(dataplane::Side side, std::span<const dataplane::Frame> frames) {
    const auto direction =
        side == dataplane::Side::outside ? rules::Direction::inbound : rules::Direction::outbound;
    if (counting == Counting::worker) {
      for (std::size_t i = 0; i < frames.size(); ++i)
        tally.counts.add(verdicts[i].reason, frames[i].size);
    } else if (counting == Counting::worker_lb_and_rule) {
      std::array<rules::LbId, dataplane::kBurstMax> lbs;
      std::array<std::uint32_t, dataplane::kBurstMax> sizes;
      std::size_t passed = 0;
      for (std::size_t i = 0; i < frames.size(); ++i) {
        tally.judged(verdicts[i]);
        lbs[passed] = verdicts[i].lb;
        sizes[passed++] = frames[i].size;
      }
      tally.passed(direction, {lbs.data(), passed}, {sizes.data(), passed});
    }
  }
  void connect(const TcpTrace& trace, std::uint32_t connections) {
    std::array<std::uint8_t, kFrameBytes> bytes;
    const dataplane::Frame frame{bytes.data(), 60};
    for (std::uint32_t i = 0; i < connections; ++i) {
      for (int step : {0, 1, 2}) {
        trace.handshake(i, step, bytes.data());
        if (judge(step == 1 ? dataplane::Side::inside : dataplane::Side::outside, {&frame, 1}) != 1)
          std::abort();
      }
    }
  }

  HugeMemory memory;
  dataplane::FlowTable flows;
  tests::FragmentTrackerBed fragments{1024};
  dataplane::Pipeline pipeline;
  std::shared_ptr<const dataplane::Snapshot> snapshot;
  std::array<std::uint16_t, dataplane::kVlans> zones{};
  std::array<dataplane::Verdict, dataplane::kBurstMax> verdicts;
  dataplane::TimeNs now = 1'000'000'000;
  HugeMemory tally_memory{dataplane::Tally::size_bytes()};
  dataplane::Tally tally{{tally_memory.data(), dataplane::Tally::size_bytes()}};
  Counting counting = Counting::none;
};

}  // namespace sluice::bench
