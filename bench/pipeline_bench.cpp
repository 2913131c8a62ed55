// SPDX-License-Identifier: Apache-2.0
//
// The whole pipeline per packet (parse, LB, fragment check, flow, rules) in bursts of 32 over
// preloaded frames: both directions of TCP connections to one LB with 1,000 rules.
//
// Reach, in ns a packet: strict 18 / 35 / 45 with 1,000 / 100,000 / 1,000,000 connections,
// rules_first 15 with 1,000,000; new connections 3 M/s.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <vector>

#include "bench/tcp_trace.h"
#include "dataplane/tally.h"
#include "rules/compile.h"
#include "tests/dataplane/fragment_tracker_bed.h"

namespace {

using namespace sluice;
using namespace sluice::dataplane;

constexpr std::size_t kPacketsLeast = 1u << 19;  // 32 MiB of frames: longer than the caches

constexpr std::size_t kBytesAConnection = 320;  // flow, frames, and what the trace knows

// What is counted of a packet beside its verdict.
enum class Counting { none, worker, worker_lb_and_rule };

// A pipeline and its flow table, as a worker has them.
struct Bed {
  Bed(std::uint32_t flows_max, Settings settings, bool all_outbound = false)
      : memory(FlowTable::size_bytes(flows_max)),
        flows({memory.data(), FlowTable::size_bytes(flows_max)}, flows_max, {11, 12}),
        pipeline(flows, fragments.tracker),
        snapshot(bench::thousand_rules(settings, all_outbound)) {}

  // How many passed.
  std::size_t judge(Side side, std::span<const Frame> frames) {
    pipeline.judge(snapshot.get(), {side, zones.data()}, frames, now, verdicts);
    std::size_t passed = 0;
    for (std::size_t i = 0; i < frames.size(); ++i) passed += verdicts[i].passes();
    count(side, frames);
    return passed;
  }
  // As a worker disposes of a burst.
  void count(Side side, std::span<const Frame> frames) {
    const auto direction =
        side == Side::outside ? rules::Direction::inbound : rules::Direction::outbound;
    if (counting == Counting::worker) {
      for (std::size_t i = 0; i < frames.size(); ++i)
        tally.counts.add(verdicts[i].reason, frames[i].size);
    } else if (counting == Counting::worker_lb_and_rule) {
      std::array<rules::LbId, kBurstMax> lbs;
      std::array<std::uint32_t, kBurstMax> sizes;
      std::size_t passed = 0;
      for (std::size_t i = 0; i < frames.size(); ++i) {
        tally.judged(verdicts[i]);
        lbs[passed] = verdicts[i].lb;
        sizes[passed++] = frames[i].size;
      }
      tally.passed(direction, {lbs.data(), passed}, {sizes.data(), passed});
    }
  }
  void connect(const bench::TcpTrace& trace, std::uint32_t connections) {
    std::array<std::uint8_t, bench::kFrameBytes> bytes;
    const Frame frame{bytes.data(), 60};
    for (std::uint32_t i = 0; i < connections; ++i) {
      for (int step : {0, 1, 2}) {
        trace.handshake(i, step, bytes.data());
        if (judge(step == 1 ? Side::inside : Side::outside, {&frame, 1}) != 1) std::abort();
      }
    }
  }

  bench::HugeMemory memory;
  FlowTable flows;
  tests::FragmentTrackerBed fragments{1024};
  Pipeline pipeline;
  std::shared_ptr<const Snapshot> snapshot;
  std::array<std::uint16_t, kVlans> zones{};
  std::array<Verdict, kBurstMax> verdicts;
  TimeNs now = 1'000'000'000;
  bench::HugeMemory tally_memory{Tally::size_bytes()};
  Tally tally{{tally_memory.data(), Tally::size_bytes()}};
  Counting counting = Counting::none;
};

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

// What is done to the only LB, whose group of a thousand rules allows every flow.
enum class Swap { attach, detach, edit, replace };
constexpr std::array kSwapNames{"attach", "detach", "edit", "replace"};

// Tables of one compiler, as a node has them.
class ChangingNode {
 public:
  ChangingNode() {
    rules::Group other;
    other.id = 2;
    other.name = "other";
    other.rules.resize(1);
    other.rules[0].id = kOtherRule;
    other.rules[0].protocol.kind = rules::ProtocolKind::custom_udp;
    node_.groups[2] = std::make_shared<const rules::Group>(other);
  }
  // Before the change, or after it.
  std::shared_ptr<const Snapshot> make(Swap swap, bool after) {
    rules::LoadBalancer lb = *node_.load_balancers.at(1);
    lb.groups = {1};
    if ((swap == Swap::attach && after) || (swap == Swap::detach && !after)) lb.groups = {1, 2};
    node_.load_balancers[1] = std::make_shared<const rules::LoadBalancer>(lb);
    rules::Group group = *original_;
    if (after && swap == Swap::edit) group.rules.back().ports.ranges = {{8081, 8081}};
    for (rules::Rule& rule : group.rules)
      if (after && swap == Swap::replace) rule.id += kOtherRule;
    if (group != *node_.groups.at(1)) node_.groups[1] = std::make_shared<const rules::Group>(group);
    const std::vector<std::string> zones{"edge"};
    return std::make_shared<const Snapshot>(
        Snapshot{*compiler_.compile(node_, zones, ++generation_), {}});
  }

 private:
  static constexpr rules::RuleId kOtherRule = 1'000'000;
  rules::Node node_ = bench::thousand_rules_node();
  std::shared_ptr<const rules::Group> original_ = node_.groups.at(1);
  rules::Compiler compiler_;
  std::uint64_t generation_ = 0;
};

// What a swap costs under traffic of the very LB that changes: a group is attached or detached, one
// rule of its thousand is edited, or all are replaced by others that allow the same. `percent`: the
// time that the same packets take longer, of a second of traffic.
void BM_Pipeline_SwapTcp(benchmark::State& state) {
  using Clock = std::chrono::steady_clock;
  const auto connections = static_cast<std::uint32_t>(state.range(0));
  const auto swap = static_cast<Swap>(state.range(1));
  state.SetLabel(kSwapNames[static_cast<std::size_t>(swap)]);
  bench::TcpTrace trace(connections, std::bit_ceil(std::size_t{4} << 20));
  ChangingNode node;
  Bed bed(std::max(connections + connections / 4, 4096u), {});
  bed.snapshot = node.make(swap, false);
  bed.connect(trace, connections);
  std::array<Frame, kBurstMax> frames;
  const auto pass_s = [&] {
    const auto begin = Clock::now();
    for (std::size_t burst = 0; burst < trace.bursts(); ++burst) {
      trace.burst(burst, frames);
      if (bed.judge(bench::TcpTrace::side_of(burst), frames) != kBurstMax) std::abort();
      bed.now += 32 * 40;
    }
    const double took = std::chrono::duration<double>(Clock::now() - begin).count();
    trace.go_on();
    return took;
  };
  std::vector<double> longer_s;
  for (auto _ : state) {
    (void)pass_s();
    const double before = pass_s();
    const auto next = node.make(swap, true);
    bed.snapshot = next;
    const double with_swap = pass_s();
    if (!bed.pipeline.is_reviewed(*next) || bed.pipeline.fates().cut != 0) std::abort();
    longer_s.push_back(with_swap - (before + pass_s()) / 2);
    state.SetIterationTime(with_swap);
    bed.snapshot = node.make(swap, false);
  }
  const auto middle = longer_s.begin() + static_cast<std::ptrdiff_t>(longer_s.size() / 2);
  std::nth_element(longer_s.begin(), middle, longer_s.end());
  state.counters["percent"] = 100 * *middle;
}
BENCHMARK(BM_Pipeline_SwapTcp)
    ->ArgNames({"flows", "swap"})
    ->ArgsProduct({{1000, 100'000, 1'000'000}, {0, 1, 2, 3}})
    ->UseManualTime()
    ->Iterations(7);

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
