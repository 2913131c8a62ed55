// SPDX-License-Identifier: Apache-2.0
//
// The whole node in one process, its workers under traffic: what clients of the API do wrong, and
// what they do right elsewhere, costs a load balancer not one packet.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <random>
#include <thread>

#include "control/api.h"
#include "control/http_server.h"
#include "dataplane/dpdk/dpdk_dataplane.h"
#include "dataplane/offline/pcap_file.h"
#include "tests/control/http_client.h"
#include "tests/control/odd_request.h"
#include "tests/control/publisher_bed.h"
#include "tests/control/temporary_folder.h"
#include "tests/packet_builder.h"

namespace sluice::control {
namespace {

using namespace std::chrono_literals;
using dataplane::dpdk::DpdkDataplane;
using tests::HttpConnection;
using tests::PacketBuilder;

constexpr std::uint64_t kRequests = 1000;
constexpr int kOthers = 300;  // with the ids that the requests name, and more

std::uint64_t environment_or(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
}

// UDP between 16 clients and 10.0.0.10, without end.
std::string capture(const std::string& path, bool from_clients) {
  auto writer = dataplane::offline::PcapWriter::open(path);
  for (std::uint16_t i = 0; i < 16; ++i) {
    const std::string client = "10.1.0." + std::to_string(i + 1), lb = "10.0.0.10";
    const auto port = static_cast<std::uint16_t>(4000 + i);
    writer->write(0, from_clients ? PacketBuilder(client, lb).udp(port, 53).frame()
                                  : PacketBuilder(lb, client).udp(53, port).frame());
  }
  EXPECT_TRUE(writer->close());
  return path;
}

class Node {
 public:
  Node() {
    dataplane::dpdk::DpdkConfig config;
    config.zones = {
        {"edge", "net_pcap0,infinite_rx=1,rx_pcap=" + capture(folder_.file("outside.pcap"), true),
         "net_pcap1,infinite_rx=1,rx_pcap=" + capture(folder_.file("inside.pcap"), false),
         std::nullopt}};
    config.flows_max = 4096;
    config.huge_pages = false;
    plane = *DpdkDataplane::open(config);
    publisher.emplace(store, *plane, dataplane::Settings{});
    EXPECT_TRUE(publisher->start());
    api.emplace(*publisher);
    HttpOptions options;
    options.requests_max = 0;
    server = *HttpServer::open(
        {"unix:" + path},
        [this](const HttpRequest& request, Respond respond) {
          api->handle(request, std::move(respond));
        },
        Api::fault, [this](const HttpRequest& head) { return api->admit(head); }, options);
    server->start();
  }
  ~Node() {
    publisher->stop();
    server.reset();
  }
  rules::Json make(const std::string& target, const std::string& body) const {
    auto connection = HttpConnection::to_unix(path);
    connection.send(tests::http_request("POST", std::string(kApiPrefix) + target, "", body));
    const auto reply = connection.reply();
    EXPECT_EQ(reply.status, 200) << reply.text;
    return reply.body["data"]["id"];
  }
  [[nodiscard]] dataplane::Counts counts() const {
    const dataplane::Counts counts = plane->workers()[0].counts;
    EXPECT_EQ(counts.received, counts.passed + counts.dropped_total());
    return counts;
  }

 private:
  tests::TemporaryFolder folder_;
  MemoryStore store;
  std::unique_ptr<DpdkDataplane> plane;
  std::optional<Publisher> publisher;
  std::optional<Api> api;
  std::unique_ptr<HttpServer> server;

 public:
  const std::string path = folder_.file("api.sock");
};

std::string group(int number) {
  return fmt::format(R"({{"name":"others{}","rules":[
    {{"rule_type":"Inbound","protocol_name":"UDP","port_range":"53","network":"any"}},
    {{"rule_type":"Outbound","protocol_name":"All","network":"any"}}]}})",
                     number);
}

TEST(ApiUnderTraffic, DisturbsNoLoadBalancerThatItDoesNotName) {
  const std::uint64_t seed = environment_or("SLUICE_SEED", std::random_device{}());
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  const Node node;
  rules::Json group_id;
  for (int i = 0; i < kOthers; ++i) {
    group_id = node.make("/security_group/", group(i));
    node.make(
        "/appliances/load-balancers/",
        fmt::format(R"({{"lb_name":"other{}","lb_reserve_ip":"10.0.{}.{}","status":"Running"}})", i,
                    1 + i / 200, 1 + i % 200));
  }
  node.make("/appliances/load-balancers/",
            fmt::format(R"({{"lb_name":"busy","lb_reserve_ip":"10.0.0.10","status":"Running",
                          "security_group_id":[{}]}})",
                        group_id.dump()));
  std::this_thread::sleep_for(100ms);
  const dataplane::Counts before = node.counts();
  const std::uint64_t requests = environment_or("SLUICE_API_FUZZ_REQUESTS", kRequests);
  for (std::uint64_t i = 0; i < requests; ++i) {
    oracle::Random random(seed + i);
    auto connection = HttpConnection::to_unix(node.path);
    connection.send(tests::odd_request(random, {"/apply/"}));
    ::shutdown(connection.socket(), SHUT_WR);
    (void)connection.receive();
  }
  std::this_thread::sleep_for(100ms);
  const dataplane::Counts after = node.counts();
  EXPECT_GT(after.passed, before.passed + 10'000);
  EXPECT_EQ(after.dropped, before.dropped) << "seed " << seed;
}

}  // namespace
}  // namespace sluice::control
