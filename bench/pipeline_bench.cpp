// SPDX-License-Identifier: Apache-2.0
//
// The whole pipeline per packet (parse, LB, fragment check, flow, rules) in bursts of 32 over
// preloaded frames: both directions of TCP connections to one LB with 1,000 rules.
//
// Reach, in ns a packet: strict 18 / 35 / 45 with 1,000 / 100,000 / 1,000,000 connections,
// rules_first 15 with 1,000,000; new connections 3 M/s.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <bit>
#include <cstdlib>

#include "bench/pipeline_bed.h"
#include "bench/tcp_trace.h"

namespace {

using namespace sluice;
using namespace sluice::dataplane;
using bench::Counting;
using Bed = bench::PipelineBed;

constexpr std::size_t kPacketsLeast = 1u << 19;  // 32 MiB of frames: longer than the caches

constexpr std::size_t kBytesAConnection = 320;  // flow, frames, and what the trace knows

benchmark::Counter per_packet(std::size_t packets) {
  return {static_cast<double>(packets), benchmark::Counter::kIsRate | benchmark::Counter::kInvert};
}

void run_established(benchmark::State& state, Settings settings, bool all_outbound = false,
                     Counting counting = Counting::none) {
  const auto connections = static_cast<std::uint32_t>(state.range(0));
  if (bench::free_memory_bytes() < (1u << 30) + std::size_t{connections} * kBytesAConnection)
    return state.SkipWithError("too little memory");
  const std::size_t packets =
      std::max<std::size_t>(kPacketsLeast, std::bit_ceil(std::size_t{connections} * 2));
  bench::TcpTrace trace(connections, packets);
  Bed bed(std::max(connections + connections / 4, 4096u), settings, all_outbound);
  bed.counting = counting;
  bed.connect(trace, connections);
  std::array<Frame, kBurstMax> frames;
  for (std::size_t i = 0; i < trace.bursts(); ++i) {
    trace.burst(i, frames);
    if (bed.judge(bench::TcpTrace::side_of(i), frames) != kBurstMax) std::abort();
  }
  if (bed.flows.live() != connections) std::abort();
  trace.go_on();
  std::size_t burst = 0, judged = 0;
  for (auto _ : state) {
    if (burst == trace.bursts()) {
      state.PauseTiming();
      trace.go_on();
      burst = 0;
      state.ResumeTiming();
    }
    trace.burst(burst, frames);
    if (bed.judge(bench::TcpTrace::side_of(burst), frames) != kBurstMax) std::abort();
    bed.now += 32 * 40;
    ++burst;
    judged += kBurstMax;
  }
  state.counters["per_packet"] = per_packet(judged);
}

void BM_Pipeline_StrictTcp(benchmark::State& state) {
  run_established(state, {});
}
BENCHMARK(BM_Pipeline_StrictTcp)
    ->ArgName("flows")
    ->Arg(1000)
    ->Arg(10'000)
    ->Arg(100'000)
    ->Arg(1'000'000);

// So long that all connections are met, and no longer: it takes a while to open them.
BENCHMARK(BM_Pipeline_StrictTcp)
    ->ArgName("flows")
    ->Arg(4'000'000)
    ->Arg(16'000'000)
    ->Iterations(1 << 20);

void BM_Pipeline_RulesFirstTcp(benchmark::State& state) {
  Settings settings;
  settings.tracking = Tracking::rules_first;
  run_established(state, settings, true);
}
BENCHMARK(BM_Pipeline_RulesFirstTcp)
    ->ArgName("flows")
    ->Arg(1000)
    ->Arg(10'000)
    ->Arg(100'000)
    ->Arg(1'000'000);

BENCHMARK(BM_Pipeline_RulesFirstTcp)
    ->ArgName("flows")
    ->Arg(4'000'000)
    ->Arg(16'000'000)
    ->Iterations(1 << 20);

// What counting costs: by worker and reason alone, and by load balancer and rule beside it.
void BM_Pipeline_CountedTcp(benchmark::State& state) {
  run_established(state, {}, false,
                  state.range(1) == 0 ? Counting::worker : Counting::worker_lb_and_rule);
}
BENCHMARK(BM_Pipeline_CountedTcp)
    ->ArgNames({"flows", "by_lb_and_rule"})
    ->ArgsProduct({{1000, 100'000, 1'000'000}, {0, 1}});

// The same where the rules allow only one direction: every second packet is looked up as a reply.
void BM_Pipeline_RulesFirstReplies(benchmark::State& state) {
  Settings settings;
  settings.tracking = Tracking::rules_first;
  run_established(state, settings);
}
BENCHMARK(BM_Pipeline_RulesFirstReplies)->ArgName("flows")->Arg(1000)->Arg(1'000'000);

// SYN -> classify -> insert, and the end of as many flows by their idle time, without end: the
// sweep must keep up with the rate, or the table would fill. `connections` are opened in four
// seconds, and four times as many before one comes again, which is long over by then.
void BM_Pipeline_NewTcp(benchmark::State& state) {
  const auto connections = static_cast<std::uint32_t>(state.range(0));
  const std::uint32_t distinct = connections * 4;
  bench::TcpTrace trace(distinct, 2 * kBurstMax);
  bench::HugeMemory memory(std::size_t{distinct} * bench::kFrameBytes);
  auto* bytes = reinterpret_cast<std::uint8_t*>(memory.data());
  for (std::uint32_t i = 0; i < distinct; ++i)
    trace.handshake(i, 0, bytes + std::size_t{i} * bench::kFrameBytes);
  Settings settings;
  settings.timeouts.tcp_opening_s = 1;
  Bed bed(connections * 2, settings);
  std::array<Frame, kBurstMax> frames;
  const std::size_t bursts = distinct / kBurstMax;
  const TimeNs step = 4'000'000'000 / (connections / kBurstMax);
  std::size_t at = 0, opened = 0;
  const auto judge_next = [&] {
    for (std::size_t i = 0; i < kBurstMax; ++i)
      frames[i] = {bytes + (at * kBurstMax + i) * bench::kFrameBytes, 60};
    if (bed.judge(Side::outside, frames) != kBurstMax) std::abort();
    bed.now += step;
    at = at + 1 == bursts ? 0 : at + 1;
  };
  for (std::size_t i = 0; i < bursts; ++i) judge_next();
  Counts before, counts;
  bed.pipeline.report(before);
  for (auto _ : state) {
    judge_next();
    opened += kBurstMax;
  }
  bed.pipeline.report(counts);
  if (counts.flows_replaced + counts.flows_replaced_by_share != 0) std::abort();
  if (counts.flows_opened - before.flows_opened != opened) std::abort();
  if (counts.flows_live > connections * 3 / 2) std::abort();
  state.counters["per_connection"] = per_packet(opened);
  state.counters["connections_per_s"] =
      benchmark::Counter(static_cast<double>(opened), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_Pipeline_NewTcp)->ArgName("connections")->Arg(1 << 16)->Arg(1 << 20);

}  // namespace
BENCHMARK_MAIN();
