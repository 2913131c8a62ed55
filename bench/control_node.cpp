// SPDX-License-Identifier: Apache-2.0
#include "bench/control_node.h"

#include <cstdio>
#include <cstdlib>

#include "dataplane/dpdk/dpdk_dataplane.h"
#include "tests/oracle/workload.h"

namespace sluice::bench {
namespace {

constexpr std::uint64_t kSeed = 20260101;

template <class T>
T must(rules::Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "Error: %s\n", result.error().message.c_str());
  std::exit(1);
}
void must(const rules::Result<void>& result) {
  if (result) return;
  std::fprintf(stderr, "Error: %s\n", result.error().message.c_str());
  std::exit(1);
}

}  // namespace

dataplane::Dataplane& busy_dataplane() {
  static const std::unique_ptr<dataplane::dpdk::DpdkDataplane> plane = [] {
    dataplane::dpdk::DpdkConfig config;
    config.zones = {{"edge", "net_null0", "net_null1", std::nullopt}};
    config.huge_pages = false;
    config.flows_max = 1u << 16;
    return must(dataplane::dpdk::DpdkDataplane::open(config));
  }();
  return *plane;
}

control::State workload_state(std::size_t load_balancers) {
  oracle::WorkloadShape shape;
  shape.load_balancers = shape.groups = load_balancers;
  shape.rules_per_group = kRulesPerGroup - 1;
  control::State state;
  state.node = oracle::workload_node(shape, kSeed);
  for (const auto& [id, group] : state.node.groups) {
    state.next_group = std::max(state.next_group, id + 1);
    for (const rules::Rule& rule : group->rules)
      state.next_rule = std::max(state.next_rule, rule.id + 1);
  }
  for (const auto& [id, shared] : control::State(state).node.load_balancers) {
    rules::LoadBalancer lb = *shared;
    lb.zone = "edge";
    lb.status = rules::LbStatus::running;
    lb.default_group = lb.groups.at(0);
    lb.registration = "{}";
    state.node.load_balancers[id] = std::make_shared<const rules::LoadBalancer>(std::move(lb));
    state.next_lb = std::max(state.next_lb, id + 1);
  }
  state.node.account_default_group = state.node.groups.begin()->first;
  state.generation = 1;
  return state;
}

StateFile::StateFile(std::size_t load_balancers) {
  must(must(control::StoreSqlite::open(path()))
           ->commit(control::State{}, workload_state(load_balancers), {}));
}

Node::Node(const std::string& path)
    : store_(must(control::StoreSqlite::open(path))), publisher_(*store_, busy_dataplane(), {}) {
  publisher_.observe(
      [this](const control::Applied& applied) { publish_generation(events_, applied); });
  must(publisher_.start());
}

Node::~Node() {
  publisher_.stop();
  server_.reset();
}

void Node::open_api(const std::string& socket) {
  control::ApiRooms rooms;
  rooms.events = &events_;
  api_ = std::make_unique<control::Api>(publisher_, rooms);
  server_ = must(control::HttpServer::open(
      {"unix:" + socket},
      [this](const control::HttpRequest& request, control::Respond respond) {
        api_->handle(request, std::move(respond));
      },
      control::Api::fault, [this](const control::HttpRequest& head) { return api_->admit(head); },
      {}));
  events_.on_publish(server_->stream_waker());
  server_->start();
}

}  // namespace sluice::bench
