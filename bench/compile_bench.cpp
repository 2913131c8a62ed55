// SPDX-License-Identifier: Apache-2.0
//
// What a change costs before it is published: rules to tables, whole nodes and single changes;
// beside rte_acl's build of the same rules. And the copies that workers read.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <new>

#include "bench/acl_peer.h"
#include "bench/eal.h"
#include "rules/compile.h"
#include "tests/oracle/workload.h"

namespace sluice::bench {
namespace {

constexpr std::uint64_t kSeed = 20260101;
const std::vector<std::string> kZones{"edge"};

std::shared_ptr<const rules::Table> compiled(rules::Compiler& compiler, const rules::Node& node) {
  static std::uint64_t generation = 0;
  auto table = compiler.compile(node, kZones, ++generation);
  if (!table) {
    std::fprintf(stderr, "Error: %s\n", table.error().message.c_str());
    std::exit(1);
  }
  return *table;
}

void BM_Compile_Policy(benchmark::State& state) {
  const rules::Node node =
      oracle::workload_node({.style = oracle::RuleStyle::arbitrary_ports,
                             .rules_per_group = static_cast<std::size_t>(state.range(0))},
                            kSeed);
  for (auto _ : state) {
    rules::Compiler compiler;
    benchmark::DoNotOptimize(compiled(compiler, node));
  }
}
BENCHMARK(BM_Compile_Policy)
    ->ArgName("rules")
    ->Arg(1000)
    ->Arg(10'000)
    ->Unit(benchmark::kMicrosecond);

void BM_Compile_RteAcl(benchmark::State& state) {
  const oracle::Workload work =
      oracle::workload({.style = oracle::RuleStyle::arbitrary_ports,
                        .rules_per_group = static_cast<std::size_t>(state.range(0))},
                       kSeed, 64);
  for (auto _ : state)
    if (!AclPeer::build(work, rules::Family::ipv4, AclContexts::one))
      return state.SkipWithError("refused by rte_acl");
}
BENCHMARK(BM_Compile_RteAcl)
    ->ArgName("rules")
    ->Arg(1000)
    ->Arg(10'000)
    ->Iterations(1)
    ->Unit(benchmark::kMicrosecond);

void BM_Compile_Node(benchmark::State& state) {
  const auto lbs = static_cast<std::size_t>(state.range(0));
  const rules::Node node =
      oracle::workload_node({.load_balancers = lbs, .groups = lbs, .rules_per_group = 1000}, kSeed);
  for (auto _ : state) {
    rules::Compiler compiler;
    benchmark::DoNotOptimize(compiled(compiler, node));
  }
}
BENCHMARK(BM_Compile_Node)->ArgName("lbs")->Arg(100)->Unit(benchmark::kMicrosecond);

// 1,000 LBs of 10 groups of 20 rules; `groups` is what LB 1 has attached.
rules::Node large_node() {
  return oracle::workload_node(
      {.load_balancers = 1000, .groups = 400, .rules_per_group = 20, .groups_per_lb = 10}, kSeed);
}
rules::Node with_groups(rules::Node node, std::vector<rules::GroupId> groups) {
  rules::LoadBalancer lb = *node.load_balancers.at(1);
  lb.groups = std::move(groups);
  node.load_balancers[1] = std::make_shared<const rules::LoadBalancer>(std::move(lb));
  return node;
}

// Attach and detach in turn: two nodes that differ in one LB.
void change_in_turn(benchmark::State& state, const rules::Node& one, const rules::Node& other) {
  rules::Compiler compiler;
  (void)compiled(compiler, other);
  bool is_one = true;
  for (auto _ : state) {
    benchmark::DoNotOptimize(compiled(compiler, is_one ? one : other));
    is_one = !is_one;
  }
}

void BM_Compile_AttachNewSet(benchmark::State& state) {
  const rules::Node before = large_node();
  std::vector<rules::GroupId> groups = before.load_balancers.at(1)->groups;
  rules::GroupId free = 1;
  while (std::find(groups.begin(), groups.end(), free) != groups.end()) ++free;
  groups.push_back(free);
  change_in_turn(state, with_groups(before, groups), before);
}
BENCHMARK(BM_Compile_AttachNewSet)->Unit(benchmark::kMicrosecond);

void BM_Compile_AttachKnownSet(benchmark::State& state) {
  const rules::Node before = large_node();
  change_in_turn(state, with_groups(before, before.load_balancers.at(2)->groups),
                 with_groups(before, before.load_balancers.at(3)->groups));
}
BENCHMARK(BM_Compile_AttachKnownSet)->Unit(benchmark::kMicrosecond);

// The copy after a change of one policy among 1,000, and the first one.
void BM_Replica_AfterOneChange(benchmark::State& state) {
  rules::Compiler compiler;
  const rules::Node before = large_node();
  std::vector<rules::GroupId> groups = before.load_balancers.at(1)->groups;
  groups.pop_back();
  const auto one = compiled(compiler, before);
  const auto other = compiled(compiler, with_groups(before, groups));
  auto last = one->replica(eal_memory(), nullptr);
  bool is_one = false;
  for (auto _ : state) {
    last = (is_one ? one : other)->replica(eal_memory(), last.get());
    is_one = !is_one;
  }
}
BENCHMARK(BM_Replica_AfterOneChange)->Unit(benchmark::kMicrosecond);

// Lookups of two workers at once, over one copy or one each. 64 LBs of 1,000 rules.
struct Shared {
  oracle::Workload work;
  std::shared_ptr<const rules::Table> table;
};
const Shared& shared() {
  static const Shared made = [] {
    Shared value{oracle::workload({.load_balancers = 64, .groups = 64, .rules_per_group = 1000},
                                  kSeed, 1 << 14),
                 nullptr};
    rules::Compiler compiler;
    value.table = compiled(compiler, value.work.node);
    for (std::size_t i = 0; i < value.work.keys.size(); ++i) {
      const auto& lb = *value.work.node.load_balancers.at(value.work.lb_of_key[i]);
      value.work.keys[i].policy = value.table->find_lb(0, lb.addresses[0].address).policy;
    }
    return value;
  }();
  return made;
}

enum class Copies { compilers_own, one, one_each };

void BM_Replica_Lookup(benchmark::State& state, Copies copies) {
  const Shared& all = shared();
  static const auto common = all.table->replica(eal_memory(), nullptr);
  auto table = copies == Copies::compilers_own ? all.table : common;
  if (copies == Copies::one_each) table = all.table->replica(eal_memory(), nullptr);
  std::size_t at = 0, lookups = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(table->allows_batch({all.work.keys.data() + at, rules::kBatchMax}));
    at = (at + rules::kBatchMax) % all.work.keys.size();
    lookups += rules::kBatchMax;
  }
  // Of one thread: the rates of both are added up.
  state.counters["per_lookup"] =
      benchmark::Counter(static_cast<double>(lookups),
                         benchmark::Counter::kAvgThreadsRate | benchmark::Counter::kInvert);
}
BENCHMARK_CAPTURE(BM_Replica_Lookup, compilers_own, Copies::compilers_own)
    ->Threads(2)
    ->UseRealTime();
BENCHMARK_CAPTURE(BM_Replica_Lookup, one, Copies::one)->Threads(2)->UseRealTime();
BENCHMARK_CAPTURE(BM_Replica_Lookup, one_each, Copies::one_each)->Threads(2)->UseRealTime();

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  sluice::bench::start_eal();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
