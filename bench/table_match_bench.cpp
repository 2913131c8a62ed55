// SPDX-License-Identifier: Apache-2.0
//
// One verdict of the table, in batches, random keys; beside it the naive loop over rules.
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "rules/compile.h"
#include "tests/oracle/oracle.h"
#include "tests/oracle/random_node.h"

namespace {

using namespace sluice;

constexpr std::size_t kKeys = 1 << 16;

struct Workload {
  rules::Node node;
  std::shared_ptr<const rules::Table> table;
  std::vector<rules::PacketKey> keys;
};

// Seeded; every answer is checked against the oracle before anything is timed.
Workload workload_of(std::size_t rules) {
  oracle::Random random(20260101);
  Workload work;
  work.node =
      oracle::random_node(random, {.groups = 1, .rules_per_group = rules, .load_balancers = 1});
  rules::LoadBalancer lb = *work.node.load_balancers.at(1);
  lb.groups = {1};
  work.node.load_balancers[1] = std::make_shared<const rules::LoadBalancer>(lb);
  const std::vector<std::string> zones{"edge"};
  work.table = *rules::Compiler().compile(work.node, zones, 1);
  for (std::size_t i = 0; i < kKeys; ++i) {
    work.keys.push_back(oracle::random_packet(random, work.node));
    if (work.table->allows(work.keys[i]) !=
        oracle::rule_of(lb, work.node, work.keys[i]).has_value())
      std::abort();
  }
  return work;
}

void BM_TableMatch_Batch(benchmark::State& state) {
  const Workload work = workload_of(static_cast<std::size_t>(state.range(0)));
  std::size_t at = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(work.table->allows_batch({work.keys.data() + at, rules::kBatchMax}));
    at = (at + rules::kBatchMax) % kKeys;
  }
  state.counters["per_lookup"] =
      benchmark::Counter(static_cast<double>(state.iterations() * rules::kBatchMax),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(BM_TableMatch_Batch)->ArgName("rules")->Arg(10)->Arg(200)->Arg(1000);

void BM_TableMatch_NaiveLoop(benchmark::State& state) {
  const Workload work = workload_of(static_cast<std::size_t>(state.range(0)));
  const rules::LoadBalancer& lb = *work.node.load_balancers.at(1);
  std::size_t at = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(oracle::rule_of(lb, work.node, work.keys[at]));
    at = (at + 1) % kKeys;
  }
  state.counters["per_lookup"] =
      benchmark::Counter(static_cast<double>(state.iterations()),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(BM_TableMatch_NaiveLoop)->ArgName("rules")->Arg(10)->Arg(200)->Arg(1000);

}  // namespace
