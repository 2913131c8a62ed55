// SPDX-License-Identifier: Apache-2.0
//
// The whole pipeline per packet: both directions of UDP flows, bursts of 32, frames in memory.
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "dataplane/offline/replay.h"
#include "rules/builtin_groups.h"
#include "rules/compile.h"
#include "tests/packet_builder.h"

namespace {

using namespace sluice;
using dataplane::offline::Input;

std::shared_ptr<const dataplane::Snapshot> open_snapshot() {
  rules::Node node;
  for (const rules::Group& group : rules::builtin_groups())
    node.groups[group.id] = std::make_shared<const rules::Group>(group);
  rules::LoadBalancer lb;
  lb.id = 1;
  lb.addresses = {{*rules::parse_address("10.0.0.10"), rules::AddressKind::private_ip}};
  lb.groups = {rules::kAllowAllGroupId};
  node.load_balancers[1] = std::make_shared<const rules::LoadBalancer>(lb);
  const std::vector<std::string> zones{"edge"};
  return std::make_shared<const dataplane::Snapshot>(
      dataplane::Snapshot{*rules::Compiler().compile(node, zones, 1), {.timeouts = {}}});
}

void BM_Pipeline_EstablishedUdp(benchmark::State& state) {
  const auto flows = static_cast<std::size_t>(state.range(0));
  dataplane::offline::Replay replay(static_cast<std::uint32_t>(flows * 2));
  replay.publish(open_snapshot());
  std::vector<Input> inputs;
  for (std::size_t i = 0; i < flows; ++i) {
    const std::string client = rules::to_string(rules::Address::ipv4(
        0x0b000000u + static_cast<std::uint32_t>(i * 2654435761u % (1u << 24))));
    inputs.push_back({1, dataplane::Side::outside,
                      tests::PacketBuilder(client, "10.0.0.10")
                          .udp(static_cast<std::uint16_t>(1024 + i % 60000), 53)
                          .frame()});
  }
  std::array<dataplane::Verdict, dataplane::kBurstMax> verdicts;
  const auto burst_at = [&](std::size_t at) {
    const std::span burst(inputs.data() + at, std::min(dataplane::kBurstMax, flows - at));
    replay.judge(burst, verdicts);
    for (std::size_t i = 0; i < burst.size(); ++i)
      if (!verdicts[i].passes()) std::abort();
    return burst.size();
  };
  for (std::size_t at = 0; at < flows;) at += burst_at(at);
  std::size_t at = 0, packets = 0;
  for (auto _ : state) {
    const std::size_t size = burst_at(at);
    packets += size;
    at = at + size == flows ? 0 : at + size;
  }
  state.counters["per_packet"] = benchmark::Counter(
      static_cast<double>(packets), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(BM_Pipeline_EstablishedUdp)->ArgName("flows")->Arg(1000)->Arg(100'000)->Arg(1'000'000);

}  // namespace
BENCHMARK_MAIN();
