// SPDX-License-Identifier: Apache-2.0
//
// Verdicts of the table in batches, beside rte_acl on the same rules and keys. Every answer of both
// is checked against the oracle before anything is timed.
#include <benchmark/benchmark.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "bench/acl_peer.h"
#include "bench/eal.h"
#include "bench/instruction_counter.h"
#include "rules/compile.h"
#include "tests/oracle/workload.h"

namespace sluice::bench {
namespace {

using oracle::RuleStyle;
using oracle::Workload;
using oracle::WorkloadShape;
using rules::Family;

constexpr std::uint64_t kSeed = 20260101;

struct Case {
  std::string name;  // "Ipv4/rules:1000"
  WorkloadShape shape;
  std::size_t keys = 1 << 12;
  std::vector<AclContexts> peers;
};

// A workload, our table in the peer's kind of memory, and peers that have answered like it.
struct Bench {
  Workload work;
  std::shared_ptr<const rules::Table> table;
  std::map<AclContexts, AclPeer> peers;
};

[[noreturn]] void stop(const Case& of, const char* what) {
  std::fprintf(stderr, "Error: %s: %s\n", of.name.c_str(), what);
  std::exit(1);
}

void check_ours(const Case& of, const Bench& bench) {
  for (std::size_t at = 0; at < bench.work.keys.size(); at += rules::kBatchMax) {
    const std::uint64_t allowed =
        bench.table->allows_batch({bench.work.keys.data() + at, rules::kBatchMax});
    for (std::size_t i = 0; i < rules::kBatchMax; ++i)
      if (((allowed >> i) & 1) != bench.work.expected[at + i]) stop(of, "our answer is wrong");
  }
}

void check_peer(const Case& of, Bench& bench, AclPeer& peer) {
  std::array<std::uint32_t, rules::kBatchMax> results;
  for (std::size_t at = 0; at < bench.work.keys.size(); at += results.size()) {
    peer.classify(at, results.size(), results.data());
    for (std::size_t i = 0; i < results.size(); ++i)
      if ((results[i] != 0) != bench.work.expected[at + i]) stop(of, "rte_acl's answer is wrong");
  }
}

Bench& bench_of(const Case& of) {
  static std::map<std::string, Bench> benches;
  const auto [it, is_new] = benches.try_emplace(of.name);
  Bench& bench = it->second;
  if (!is_new) return bench;
  bench.work = oracle::workload(of.shape, kSeed, of.keys);
  if (bench.work.keys.size() != of.keys) stop(of, "too few keys miss");
  const std::vector<std::string> zones{"edge"};
  const auto compiled = rules::Compiler().compile(bench.work.node, zones, 1);
  if (!compiled) stop(of, compiled.error().message.c_str());
  bench.table = (*compiled)->replica(eal_memory(), nullptr);
  for (std::size_t i = 0; i < of.keys; ++i) {
    const auto& lb = *bench.work.node.load_balancers.at(bench.work.lb_of_key[i]);
    bench.work.keys[i].policy = bench.table->find_lb(0, lb.addresses[0].address).policy;
  }
  check_ours(of, bench);
  for (const AclContexts contexts : of.peers) {
    auto peer = AclPeer::build(bench.work, of.shape.family, contexts);
    if (!peer) continue;  // refused: reported by its benchmark
    peer->load_keys(bench.work);
    check_peer(of, bench, *peer);
    bench.peers.emplace(contexts, std::move(*peer));
  }
  return bench;
}

void report(benchmark::State& state, std::size_t lookups) {
  state.counters["per_lookup"] = benchmark::Counter(
      static_cast<double>(lookups), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void run_ours(benchmark::State& state, const Case& of, rules::InstructionSet set) {
  Bench& bench = bench_of(of);
  const auto table = bench.table->with(set);
  InstructionCounter instructions;
  std::size_t at = 0, lookups = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(table->allows_batch({bench.work.keys.data() + at, rules::kBatchMax}));
    at = (at + rules::kBatchMax) % of.keys;
    lookups += rules::kBatchMax;
  }
  report(state, lookups);
  if (const auto counted = instructions.read(); counted && lookups != 0)
    state.counters["instructions"] = static_cast<double>(*counted) / static_cast<double>(lookups);
  state.counters["bytes"] = static_cast<double>(bench.table->image_bytes());
}

void run_peer(benchmark::State& state, const Case& of, AclContexts contexts, std::size_t burst) {
  Bench& bench = bench_of(of);
  const auto peer = bench.peers.find(contexts);
  if (peer == bench.peers.end()) return state.SkipWithError("refused by rte_acl");
  std::array<std::uint32_t, 1024> results;
  std::size_t at = 0, lookups = 0;
  for (auto _ : state) {
    peer->second.classify(at, burst, results.data());
    benchmark::DoNotOptimize(results);
    at = (at + burst) % of.keys;
    lookups += burst;
  }
  report(state, lookups);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  const std::vector<AclContexts> one{AclContexts::one};
  for (std::size_t rules : {10, 200, 1000})
    all.push_back(
        {"Ipv4/rules:" + std::to_string(rules), {.rules_per_group = rules}, 1 << 12, one});
  for (std::size_t rules : {10'000, 100'000})
    all.push_back({"Ipv4ArbitraryPorts/rules:" + std::to_string(rules),
                   {.style = RuleStyle::arbitrary_ports, .rules_per_group = rules},
                   1 << 12,
                   one});
  for (std::size_t rules : {1000, 10'000})
    all.push_back({"Ipv6/rules:" + std::to_string(rules),
                   {.family = Family::ipv6, .rules_per_group = rules},
                   1 << 12,
                   one});
  all.push_back({"OwnRules/lbs:64/rules:1000",
                 {.load_balancers = 64, .groups = 64, .rules_per_group = 1000},
                 1 << 16,
                 {AclContexts::one, AclContexts::one_per_lb}});
  all.push_back({"OwnRules/lbs:250/rules:200",
                 {.load_balancers = 250, .groups = 250, .rules_per_group = 200},
                 1 << 16,
                 {}});
  all.push_back({"SharedGroups/lbs:10000/groups:200",
                 {.load_balancers = 10'000,
                  .groups = 200,
                  .rules_per_group = 20,
                  .groups_per_lb = 2,
                  .common_group = true},
                 1 << 16,
                 {}});
  // Nearly every LB with a set of its own.
  all.push_back(
      {"AnyTwoGroups/lbs:10000/groups:200",
       {.load_balancers = 10'000, .groups = 200, .rules_per_group = 20, .groups_per_lb = 2},
       1 << 16,
       {}});
  for (std::size_t rules : {1000, 10'000})
    all.push_back({"Nested/rules:" + std::to_string(rules),
                   {.style = RuleStyle::nested, .rules_per_group = rules},
                   1 << 12,
                   one});
  return all;
}

void register_case(const Case& of) {
  const auto slash = of.name.find('/');
  const std::string unit = "BM_TableMatch_" + of.name.substr(0, slash);
  const std::string arguments = of.name.substr(slash);
  const auto best = rules::best_instruction_set();
  benchmark::RegisterBenchmark((unit + arguments).c_str(),
                               [of, best](benchmark::State& state) { run_ours(state, of, best); });
  for (const AclContexts contexts : of.peers) {
    const char* suffix = contexts == AclContexts::one ? "_RteAcl" : "_RteAclPerLb";
    for (std::size_t burst : {64, 512})
      benchmark::RegisterBenchmark(
          (unit + suffix + arguments + "/burst:" + std::to_string(burst)).c_str(),
          [of, contexts, burst](benchmark::State& state) { run_peer(state, of, contexts, burst); });
  }
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  sluice::bench::start_eal();
  for (const auto& of : sluice::bench::cases()) sluice::bench::register_case(of);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
