// SPDX-License-Identifier: Apache-2.0
//
// The flow table alone, in bursts of 32 with its prefetch stages: a hit, a miss, an insert with its
// erase, and the sweep, by number of live flows. Keys come in random order.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <random>

#include "bench/huge_memory.h"
#include "dataplane/flow_table.h"

namespace {

using namespace sluice::dataplane;

constexpr std::size_t kBurst = 32;
constexpr TimeNs kSecond = 1'000'000'000;

FlowKey key_of(std::uint32_t number) {
  FlowKey key;
  key.local_low = 0x0a00000a;
  key.remote_low = 0x0b000000 + number / 16;
  key.remote_port = static_cast<std::uint16_t>(1024 + number % 16);
  key.local_port = 443;
  key.protocol = 6;
  return key;
}

struct Bed {
  explicit Bed(std::uint32_t flows)
      : memory(FlowTable::size_bytes(flows + flows / 4)),
        table({memory.data(), FlowTable::size_bytes(flows + flows / 4)}, flows + flows / 4,
              {11, 12}) {
    table.set_clock(kSecond, timeouts);
    for (std::uint32_t i = 0; i < flows; ++i) {
      Flow* flow = table.insert(key_of(i), table.hash(key_of(i)), FlowState::other);
      if (flow == nullptr) std::abort();
      table.mark_replied(flow);
    }
  }
  // The found ones of 32 keys.
  std::size_t find(const FlowKey* keys) {
    std::uint64_t hashes[kBurst];
    for (std::size_t i = 0; i < kBurst; ++i) {
      hashes[i] = table.hash(keys[i]);
      table.prefetch_bucket(hashes[i]);
    }
    for (std::size_t i = 0; i < kBurst; ++i) (void)table.prefetch_flow(hashes[i]);
    std::size_t found = 0;
    for (std::size_t i = 0; i < kBurst; ++i) found += table.find(keys[i], hashes[i]) != nullptr;
    return found;
  }
  sluice::bench::HugeMemory memory;
  FlowTable table;
  FlowTimeouts timeouts;
};

// Keys of numbers first .. first + range - 1 in random order.
std::vector<FlowKey> random_keys(std::uint32_t first, std::uint32_t range) {
  std::mt19937 random(20260101);
  std::vector<FlowKey> keys(1 << 20);
  for (FlowKey& key : keys) key = key_of(first + static_cast<std::uint32_t>(random()) % range);
  return keys;
}

benchmark::Counter each(std::size_t count) {
  return {static_cast<double>(count), benchmark::Counter::kIsRate | benchmark::Counter::kInvert};
}

void run_find(benchmark::State& state, bool hit) {
  const auto flows = static_cast<std::uint32_t>(state.range(0));
  Bed bed(flows);
  const auto keys = random_keys(hit ? 0 : flows, flows);
  const std::size_t expected = hit ? kBurst : 0;
  std::size_t at = 0, count = 0;
  for (auto _ : state) {
    if (bed.find(keys.data() + at) != expected) std::abort();
    at = (at + kBurst) % keys.size();
    count += kBurst;
  }
  state.counters["each"] = each(count);
}
void BM_FlowTable_Hit(benchmark::State& state) {
  run_find(state, true);
}
void BM_FlowTable_Miss(benchmark::State& state) {
  run_find(state, false);
}

// A new flow, and the end of another: the table stays as full as it is.
void BM_FlowTable_InsertErase(benchmark::State& state) {
  const auto flows = static_cast<std::uint32_t>(state.range(0));
  Bed bed(flows);
  std::mt19937 random(20260101);
  std::vector<std::uint32_t> live(flows);
  for (std::uint32_t i = 0; i < flows; ++i) live[i] = i;
  std::shuffle(live.begin(), live.end(), random);
  std::uint32_t next = flows;
  std::size_t at = 0, count = 0;
  for (auto _ : state) {
    std::uint64_t hashes[kBurst];
    for (std::size_t i = 0; i < kBurst; ++i) {
      hashes[i] = bed.table.hash(key_of(next + static_cast<std::uint32_t>(i)));
      bed.table.prefetch_bucket(hashes[i]);
      bed.table.prefetch_bucket(bed.table.hash(key_of(live[(at + i) % flows])));
    }
    for (std::size_t i = 0; i < kBurst; ++i) {
      const FlowKey old = key_of(live[at]);
      Flow* flow = bed.table.find(old, bed.table.hash(old));
      if (flow == nullptr) std::abort();
      bed.table.erase(flow);
      flow = bed.table.insert(key_of(next), hashes[i], FlowState::other);
      if (flow == nullptr) std::abort();
      bed.table.mark_replied(flow);
      live[at] = next++;
      at = at + 1 == flows ? 0 : at + 1;
    }
    count += kBurst;
  }
  state.counters["each"] = each(count);
}

// The sweep over a table where nothing is over: what every burst pays, a bucket.
void BM_FlowTable_Sweep(benchmark::State& state) {
  Bed bed(static_cast<std::uint32_t>(state.range(0)));
  std::size_t count = 0;
  for (auto _ : state) {
    bed.table.expire(8);
    count += 8;
  }
  state.counters["each"] = each(count);
}

// The sweep over a table where all is over, a flow.
void BM_FlowTable_Expire(benchmark::State& state) {
  const auto flows = static_cast<std::uint32_t>(state.range(0));
  Bed bed(flows);
  std::size_t count = 0;
  for (auto _ : state) {
    state.PauseTiming();
    bed.table.set_clock(kSecond, bed.timeouts);
    for (std::uint32_t i = static_cast<std::uint32_t>(bed.table.live()); i < flows; ++i)
      bed.table.mark_replied(
          bed.table.insert(key_of(i), bed.table.hash(key_of(i)), FlowState::other));
    bed.table.set_clock(10'000 * kSecond, bed.timeouts);
    state.ResumeTiming();
    while (bed.table.live() != 0) bed.table.expire(8);
    count += flows;
  }
  state.counters["each"] = each(count);
}

#define SLUICE_FLOWS ArgName("flows")->RangeMultiplier(16)->Range(1 << 10, 1 << 22)->Arg(1 << 24)
BENCHMARK(BM_FlowTable_Hit)->SLUICE_FLOWS;
BENCHMARK(BM_FlowTable_Miss)->SLUICE_FLOWS;
BENCHMARK(BM_FlowTable_InsertErase)->SLUICE_FLOWS;
BENCHMARK(BM_FlowTable_Sweep)->SLUICE_FLOWS;
BENCHMARK(BM_FlowTable_Expire)->ArgName("flows")->Arg(1 << 10)->Arg(1 << 20)->Iterations(3);

}  // namespace
BENCHMARK_MAIN();
