// SPDX-License-Identifier: Apache-2.0
//
// A whole worker over real ports beside dpdk-testpmd io on the same: what the gate costs a packet,
// and what a swap costs the traffic.
//
// net_ring: both ports are loops, so what leaves one comes in at it again: packets between two LBs
// of the node circulate, judged on their way out of one and into the other in turn. net_pcap: the
// ports bring the frames of a capture without end, those of clients and those of the LB.
//
// DPDK starts once a process: each repetition is one of its own.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "bench/huge_memory.h"
#include "bench/tcp_trace.h"
#include "bench/testpmd_peer.h"
#include "dataplane/dpdk/dpdk_dataplane.h"
#include "dataplane/offline/pcap_file.h"
#include "rules/compile.h"

namespace {

using namespace sluice;
using namespace sluice::dataplane;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::uint8_t kPshAck = 0x18;
constexpr std::uint32_t kOtherLb = bench::kClients + 5;
constexpr auto kWarmUp = 300ms, kWindow = 1000ms;
constexpr int kSwaps = 5;
constexpr std::size_t kHugePages = 256;  // fewer: none

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "Error: %s\n", why.c_str());
  std::_Exit(1);
}

// The figure that `measure` gives, in a process of its own. Null: it gave up, and said why.
std::optional<double> apart(const std::function<double()>& measure) {
  int ends[2];
  if (::pipe(ends) != 0) return std::nullopt;
  const pid_t child = ::fork();
  if (child == 0) {
    const double figure = measure();
    (void)!::write(ends[1], &figure, sizeof(figure));
    std::_Exit(0);
  }
  ::close(ends[1]);
  double figure = 0;
  const bool told = ::read(ends[0], &figure, sizeof(figure)) == sizeof(figure);
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return told ? std::optional(figure) : std::nullopt;
}

// A gate with one worker on the last CPU. `other_lb`: a second LB stands among the clients.
struct Gate {
  Gate(const std::string& outside, const std::string& inside, bool other_lb)
      : node(bench::thousand_rules_node(true)) {
    if (other_lb) {
      rules::LoadBalancer lb = *node.load_balancers.at(1);
      lb.id = 2;
      lb.name = "other";
      lb.addresses = {{rules::Address::ipv4(kOtherLb), rules::AddressKind::private_ip}};
      node.load_balancers[2] = std::make_shared<const rules::LoadBalancer>(lb);
    }
    dpdk::DpdkConfig config;
    config.zones = {{"edge", outside, inside, std::nullopt}};
    config.huge_pages = bench::free_huge_pages() >= kHugePages;
    auto opened = dpdk::DpdkDataplane::open(config);
    if (!opened) give_up(opened.error().message);
    plane = std::move(*opened);
    publish(next_snapshot());
  }
  [[nodiscard]] std::shared_ptr<const Snapshot> next_snapshot() {
    const std::vector<std::string> zones{"edge"};
    Settings settings;
    settings.adopt_s = 60;  // connections are met in their middle
    // Every generation judges anew: its group is another value of the same rules.
    node.groups[1] = std::make_shared<const rules::Group>(*node.groups.at(1));
    return std::make_shared<const Snapshot>(
        Snapshot{*compiler.compile(node, zones, ++generation), settings});
  }
  void publish(std::shared_ptr<const Snapshot> snapshot) {
    if (const auto done = plane->publish(std::move(snapshot)); !done) give_up(done.error().message);
  }
  // Packets a second for a while. Every packet must pass.
  double rate_of(std::chrono::milliseconds window, const std::function<void()>& beside = {}) {
    const Counts before = plane->workers()[0].counts;
    const auto begin = Clock::now();
    if (beside) beside();
    std::this_thread::sleep_until(begin + window);
    const Counts after = plane->workers()[0].counts;
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    if (after.dropped_total() != before.dropped_total()) give_up("packets were dropped");
    return static_cast<double>(after.received - before.received) / seconds;
  }
  void expect_flows(std::uint64_t flows) const {
    const Counts counts = plane->workers()[0].counts;
    if (counts.flows_live != flows)
      give_up(fmt::format("{} flows are live, not {}", counts.flows_live, flows));
  }

  rules::Compiler compiler;
  rules::Node node;
  std::uint64_t generation = 0;
  std::unique_ptr<dpdk::DpdkDataplane> plane;
};

void put(rte_ring* ring, rte_mempool* pool, const bench::TcpEnds& ends, std::uint32_t seq,
         std::uint32_t ack) {
  rte_mbuf* frame = rte_pktmbuf_alloc(pool);
  if (frame == nullptr) give_up("no frame left");
  frame->data_len = 60;
  frame->pkt_len = 60;
  bench::write_tcp(ends, kPshAck, seq, ack, rte_pktmbuf_mtod(frame, std::uint8_t*));
  if (rte_ring_enqueue(ring, frame) != 0) give_up("a ring is full");
}

// Two packets of each connection between the LBs go round, one each way. Two flows a connection:
// one of each LB.
void fill_rings(std::uint32_t connections) {
  rte_mempool* pool = rte_mempool_lookup("frames");
  rte_ring* outside = rte_ring_lookup("ETH_RXTX0_net_ring0");
  rte_ring* inside = rte_ring_lookup("ETH_RXTX0_net_ring1");
  if (pool == nullptr || outside == nullptr || inside == nullptr)
    give_up("the rings are not there");
  for (std::uint32_t i = 0; i < connections; ++i) {
    const auto port = static_cast<std::uint16_t>(1024 + i);
    put(inside, pool, {kOtherLb, bench::kLb, port, 443}, 1001, 2001);
    put(outside, pool, {bench::kLb, kOtherLb, 443, port}, 2001, 1007);
  }
}

double ring_ns(std::uint32_t flows) {
  Gate gate("net_ring0", "net_ring1", true);
  fill_rings(flows / 2);
  std::this_thread::sleep_for(kWarmUp);
  const double rate = gate.rate_of(kWindow);
  gate.expect_flows(flows);
  return 1e9 / rate;
}

// Throughput that a second with a swap in it lacks, in percent of one without; the median of some.
double swap_percent(std::uint32_t flows) {
  Gate gate("net_ring0", "net_ring1", true);
  fill_rings(flows / 2);
  std::this_thread::sleep_for(kWarmUp);
  rte_mempool* pool = rte_mempool_lookup("frames");
  const unsigned under_way = rte_mempool_in_use_count(pool);
  std::vector<double> lacking;
  for (int i = 0; i < kSwaps; ++i) {
    const auto next = gate.next_snapshot();
    const double before = gate.rate_of(kWindow);
    const double with_swap = gate.rate_of(kWindow, [&] { gate.publish(next); });
    lacking.push_back(100 * (1 - with_swap / std::max(before, gate.rate_of(kWindow))));
  }
  gate.expect_flows(flows);
  if (rte_mempool_in_use_count(pool) != under_way) give_up("frames are lost");
  std::sort(lacking.begin(), lacking.end());
  return std::max(0.0, lacking[lacking.size() / 2]);
}

// Frames of clients and of the LB, one packet a connection and direction, in files.
struct Captures {
  explicit Captures(std::uint32_t connections) {
    std::array<std::uint8_t, bench::kFrameBytes> frame;
    for (const bool from_client : {true, false}) {
      auto writer = offline::PcapWriter::open(path(from_client));
      if (!writer) give_up(writer.error().message);
      for (std::uint32_t i = 0; i < connections; ++i) {
        const std::uint32_t client = bench::kClients + i * 2654435761u % (1000u << 14);
        const auto port = static_cast<std::uint16_t>(1024 + i);
        bench::write_tcp(from_client ? bench::TcpEnds{client, bench::kLb, port, 443}
                                     : bench::TcpEnds{bench::kLb, client, 443, port},
                         kPshAck, from_client ? 1001 : 2001, from_client ? 2001 : 1007,
                         frame.data());
        writer->write(0, {frame.data(), 60});
      }
      if (const auto closed = writer->close(); !closed) give_up(closed.error().message);
    }
  }
  ~Captures() {
    for (const bool from_client : {true, false}) std::filesystem::remove(path(from_client));
  }
  [[nodiscard]] std::string path(bool from_client) const {
    return (std::filesystem::temp_directory_path() /
            fmt::format("sluice-bench-{}-{}.pcap", owner, from_client ? "outside" : "inside"))
        .string();
  }
  const pid_t owner = ::getpid();  // children measure
  [[nodiscard]] std::string device(int index) const {
    return fmt::format("net_pcap{},rx_pcap={},infinite_rx=1", index, path(index == 0));
  }
};

double pcap_ns(const std::string& outside, const std::string& inside, std::uint32_t flows) {
  Gate gate(outside, inside, false);
  std::this_thread::sleep_for(kWarmUp);
  const double rate = gate.rate_of(kWindow);
  gate.expect_flows(flows);
  return 1e9 / rate;
}

void report(benchmark::State& state, const char* counter, std::optional<double> figure) {
  for (auto _ : state) state.SetIterationTime(figure.value_or(0) * 1e-9);
  if (!figure) return state.SkipWithError("did not run");
  state.counters[counter] = *figure;
}

std::uint32_t flows_of(const benchmark::State& state) {
  return static_cast<std::uint32_t>(state.range(0));
}

void BM_EndToEnd_NetRing(benchmark::State& state) {
  report(state, "per_packet_ns", apart([&] { return ring_ns(flows_of(state)); }));
}
void BM_EndToEnd_NetRing_Testpmd(benchmark::State& state) {
  const auto rate = bench::testpmd_packets_per_s("net_ring0", "net_ring1", flows_of(state) / 64);
  report(state, "per_packet_ns", rate ? std::optional(1e9 / *rate) : std::nullopt);
}
void BM_EndToEnd_NetPcap(benchmark::State& state) {
  const Captures captures(flows_of(state));
  report(state, "per_packet_ns",
         apart([&] { return pcap_ns(captures.device(0), captures.device(1), flows_of(state)); }));
}
void BM_EndToEnd_NetPcap_Testpmd(benchmark::State& state) {
  const Captures captures(flows_of(state));
  const auto rate = bench::testpmd_packets_per_s(captures.device(0), captures.device(1), 0);
  report(state, "per_packet_ns", rate ? std::optional(1e9 / *rate) : std::nullopt);
}
void BM_EndToEnd_SwapUnderLoad(benchmark::State& state) {
  report(state, "percent", apart([&] { return swap_percent(flows_of(state)); }));
}

// Two flows a connection and two packets on their way; the rings hold 1,023 each.
BENCHMARK(BM_EndToEnd_NetRing)->ArgName("flows")->Arg(1000)->Iterations(1)->UseManualTime();
BENCHMARK(BM_EndToEnd_NetRing_Testpmd)->ArgName("flows")->Arg(1000)->Iterations(1)->UseManualTime();
// The ports keep a copy of each frame of a capture: as many as there is room for.
BENCHMARK(BM_EndToEnd_NetPcap)
    ->ArgName("flows")
    ->Arg(1000)
    ->Arg(12'000)
    ->Iterations(1)
    ->UseManualTime();
BENCHMARK(BM_EndToEnd_NetPcap_Testpmd)
    ->ArgName("flows")
    ->Arg(1000)
    ->Arg(12'000)
    ->Iterations(1)
    ->UseManualTime();
BENCHMARK(BM_EndToEnd_SwapUnderLoad)->ArgName("flows")->Arg(1000)->Iterations(1)->UseManualTime();

}  // namespace
BENCHMARK_MAIN();
