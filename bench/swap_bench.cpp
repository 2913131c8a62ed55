// SPDX-License-Identifier: Apache-2.0
//
// What a swap costs under traffic of the very LB that changes.
//
// Reach: 1 % of its second, for what is done to a node every day: a group attached, detached, or a
// rule of it edited, with a million connections that all talk.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>

#include "bench/pipeline_bed.h"
#include "bench/tcp_trace.h"
#include "rules/compile.h"

namespace {

using namespace sluice;
using namespace sluice::dataplane;
using Bed = bench::PipelineBed;

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

// A group is attached or detached, one rule of its thousand is edited, or all are replaced by
// others that allow the same. `percent`: the time that the same packets take longer, of a second of
// traffic.
void BM_Pipeline_SwapTcp(benchmark::State& state) {
  using Clock = std::chrono::steady_clock;
  const auto connections = static_cast<std::uint32_t>(state.range(0));
  const auto swap = static_cast<Swap>(state.range(1));
  state.SetLabel(kSwapNames[static_cast<std::size_t>(swap)]);
  bench::TcpTrace trace(connections,
                        std::bit_ceil(std::max<std::size_t>(1u << 19, connections * 4)));
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
  (void)pass_s();
  for (auto _ : state) {
    const double before = pass_s();
    const auto next = node.make(swap, true);
    bed.snapshot = next;
    const double with_swap = pass_s();
    if (!bed.pipeline.is_reviewed(*next) || bed.pipeline.fates().cut != 0) std::abort();
    state.counters["percent"] = 100 * (with_swap - (before + pass_s()) / 2);
    state.SetIterationTime(with_swap);
  }
}
BENCHMARK(BM_Pipeline_SwapTcp)
    ->ArgNames({"flows", "swap"})
    ->ArgsProduct({{1000, 100'000, 1'000'000}, {0, 1, 2, 3}})
    ->UseManualTime()
    ->Iterations(1);  // repetitions tell the rest: the median counts

}  // namespace
