// SPDX-License-Identifier: Apache-2.0
//
// The control of a node, as its clients meet it: over HTTP on a UNIX socket, with the durable
// commit, while a worker is busy with packets. Each answer is checked.
//
// Names end in threads:1 so that scripts/bench leaves the process all CPUs: a node needs two.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "bench/control_node.h"

namespace sluice::bench {
namespace {

using Clock = std::chrono::steady_clock;
using tests::http_request;
using tests::HttpConnection;
using tests::HttpReply;

constexpr std::size_t kLoadBalancers = 1000;
constexpr unsigned kClients = 8;

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

double percentile(std::vector<double>& values, double part) {
  if (values.empty()) return 0;
  const auto at = static_cast<std::size_t>(part * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

// Attaches the group of the next LB, or takes it off again.
class Attacher {
 public:
  Attacher(const std::string& socket, std::size_t lb)
      : connection_(HttpConnection::to_unix(socket)), lb_(lb) {}

  // False: it was not done.
  bool change() {
    is_attached_ = !is_attached_;
    connection_.send(
        http_request("POST",
                     fmt::format("{}/security_group/{}/{}/", control::kApiPrefix, lb_,
                                 is_attached_ ? "attach" : "detach"),
                     "Content-Type: application/json\r\n",
                     fmt::format(R"({{"security_group_ids":[{}]}})", lb_ % kLoadBalancers + 1)));
    const HttpReply reply = connection_.reply();
    if (reply.status != 200) return false;
    commit_us = reply.body["data"]["store_us"].get<double>();
    return true;
  }
  double commit_us = 0;

 private:
  HttpConnection connection_;
  const std::size_t lb_;
  bool is_attached_ = false;
};

void BM_Control_Attach(benchmark::State& state) {
  const StateFile file(kLoadBalancers);
  Node node(file.path());
  node.open_api(file.socket());
  std::vector<double> latencies_ms, commits_ms;
  std::size_t lb = 0;
  for (auto _ : state) {
    Attacher attacher(file.socket(), lb++ % kLoadBalancers + 1);
    for (int i = 0; i < 2; ++i) {
      const auto begin = Clock::now();
      if (!attacher.change()) return state.SkipWithError("an attach was refused");
      latencies_ms.push_back(ms_since(begin));
      commits_ms.push_back(attacher.commit_us / 1000);
    }
  }
  state.counters["p50_ms"] = percentile(latencies_ms, 0.5);
  state.counters["p99_ms"] = percentile(latencies_ms, 0.99);
  state.counters["commit_p50_ms"] = percentile(commits_ms, 0.5);
  state.counters["commit_p99_ms"] = percentile(commits_ms, 0.99);
}
BENCHMARK(BM_Control_Attach)->Iterations(1000)->Unit(benchmark::kMillisecond)->Threads(1);

void BM_Control_Changes(benchmark::State& state) {
  const StateFile file(kLoadBalancers);
  Node node(file.path());
  node.open_api(file.socket());
  std::vector<double> latencies_ms;
  std::size_t changes = 0;
  double seconds = 0;
  for (auto _ : state) {
    std::vector<std::vector<double>> of_client(kClients);
    std::atomic<bool> is_refused{false};
    const auto begin = Clock::now();
    std::vector<std::thread> clients;
    for (unsigned i = 0; i < kClients; ++i)
      clients.emplace_back([&, i] {
        Attacher attacher(file.socket(), i + 1);
        while (of_client[i].size() % 2 == 1 || ms_since(begin) < 1000) {
          const auto sent = Clock::now();
          if (!attacher.change()) {
            is_refused = true;
            return;
          }
          of_client[i].push_back(ms_since(sent));
        }
      });
    for (std::thread& client : clients) client.join();
    if (is_refused) return state.SkipWithError("a change was refused");
    seconds += ms_since(begin) / 1000;
    for (const auto& latencies : of_client) {
      changes += latencies.size();
      latencies_ms.insert(latencies_ms.end(), latencies.begin(), latencies.end());
    }
  }
  state.counters["per_second"] = static_cast<double>(changes) / seconds;
  state.counters["p50_ms"] = percentile(latencies_ms, 0.5);
  state.counters["p99_ms"] = percentile(latencies_ms, 0.99);
}
BENCHMARK(BM_Control_Changes)
    ->Name("BM_Control_Changes/clients:8")
    ->Iterations(2)
    ->Unit(benchmark::kMillisecond)
    ->Threads(1);

// The list of all groups; returns the milliseconds to its last byte, 0 if it is not right.
double list_groups(HttpConnection& connection) {
  const auto begin = Clock::now();
  connection.send(http_request("GET", std::string(control::kApiPrefix) + "/security_group/"));
  const HttpReply reply = connection.unread_reply();
  const double took_ms = ms_since(begin);
  const auto body = rules::parse_json(reply.text);
  const bool is_right = reply.status == 200 && body && (*body)["data"].size() == kLoadBalancers;
  return is_right ? took_ms : 0;
}

void BM_Control_ListGroups(benchmark::State& state) {
  const StateFile file(kLoadBalancers);
  std::vector<double> first_ms, warm_ms;
  for (auto _ : state) {
    Node node(file.path());
    node.open_api(file.socket());
    HttpConnection connection = HttpConnection::to_unix(file.socket());
    first_ms.push_back(list_groups(connection));
    for (int i = 0; i < 5; ++i) warm_ms.push_back(list_groups(connection));
  }
  if (percentile(first_ms, 0) == 0 || percentile(warm_ms, 0) == 0)
    return state.SkipWithError("the list is not right");
  state.counters["first_ms"] = percentile(first_ms, 0.5);
  state.counters["warm_ms"] = percentile(warm_ms, 0.5);
}
BENCHMARK(BM_Control_ListGroups)->Iterations(4)->Unit(benchmark::kMillisecond)->Threads(1);

void BM_Control_Start(benchmark::State& state) {
  constexpr std::size_t kMany = 10 * kLoadBalancers;
  const StateFile file(kMany);
  (void)busy_dataplane();
  for (auto _ : state) {
    const auto begin = Clock::now();
    Node node(file.path());
    state.SetIterationTime(ms_since(begin) / 1000);
    if (node.publisher().state()->node.load_balancers.size() != kMany)
      return state.SkipWithError("not all load balancers are there");
  }
}
BENCHMARK(BM_Control_Start)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime()
    ->Threads(1);

}  // namespace
}  // namespace sluice::bench

BENCHMARK_MAIN();
