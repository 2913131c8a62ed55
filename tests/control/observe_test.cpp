// SPDX-License-Identifier: Apache-2.0
//
// What the node tells, through a real socket: explain, drops, flows, counters, and what they
// refuse. The workers are played; tests/dpdk asks real ones.
#include <gtest/gtest.h>

#include <thread>

#include "control/observer.h"
#include "tests/control/api_bed.h"
#include "tests/packet_builder.h"

namespace sluice::control {
namespace {

using dataplane::DropReason;
using dataplane::DropRecord;
using dataplane::Side;
using rules::Json;
using tests::PacketBuilder;

class Observe : public ApiBed {
 protected:
  std::unique_ptr<Observer> observer = std::make_unique<Observer>(publisher, &events);

  void fill(ApiRooms& rooms) override {
    observer->start();
    rooms.observer = observer.get();
  }
  void SetUp() override {
    ApiBed::SetUp();
    if (HasFatalFailure()) return;
    const auto group = call("POST", at("/security_group/"), R"({"name":"front","rules":[
      {"rule_type":"Inbound","protocol_name":"TCP","port_range":"80,443","network":"any"},
      {"rule_type":"Inbound","protocol_name":"TCP","port_range":"22","network":"10.7.0.0/16"},
      {"rule_type":"Inbound","protocol_name":"ICMP","icmp_type":8,"network":"any"},
      {"rule_type":"Outbound","protocol_name":"TCP","port_range":"8080","network":"10.9.0.0/24"}]})");
    ASSERT_EQ(group.status, 200) << group.text;
    group_id = group.body["data"]["id"].get<std::uint32_t>();
    const auto lb = call("POST", at("/appliances/load-balancers/"),
                         R"({"lb_name":"web","node_list_type":"S","lb_mode":"TCP",
        "lb_port":"80","lb_reserve_ip":"10.0.0.10","host_target_ipv6":"fd00::10",
        "security_group_id":)" +
                             std::to_string(group_id) + "}");
    ASSERT_EQ(lb.status, 200) << lb.text;
    lb_id = lb.body["data"]["appliance_id"].get<std::uint32_t>();
  }
  void TearDown() override {
    observer->stop();
    ApiBed::TearDown();
  }
  Json ask(const std::string& target, const std::string& body = "") {
    const auto reply = call(body.empty() ? "GET" : "POST", at(target), body);
    EXPECT_EQ(reply.status, 200) << reply.text;
    return reply.body["data"];
  }
  // Status 400, and just these fields.
  void refuses(const std::string& target, const std::vector<std::string>& fields,
               const std::string& body = "") {
    const auto reply = call(body.empty() ? "GET" : "POST", at(target), body);
    EXPECT_EQ(reply.status, 400) << target << body << reply.text;
    std::vector<std::string> named;
    for (const auto& [field, reason] : reply.body["errors"].items()) named.push_back(field);
    EXPECT_EQ(named, fields) << reply.text;
  }
  [[nodiscard]] DropRecord drop(const tests::Bytes& bytes, DropReason reason,
                                Side side = Side::outside) const {
    DropRecord record;
    record.time_ns = 1'767'323'045'678'000'000;
    record.generation = publisher.state()->generation;
    record.lb = reason == DropReason::malformed ? 0 : lb_id;
    record.size_bytes = static_cast<std::uint32_t>(bytes.size());
    record.head_bytes = static_cast<std::uint16_t>(std::min(bytes.size(), record.head.size()));
    std::copy_n(bytes.begin(), record.head_bytes, record.head.begin());
    record.reason = reason;
    record.side = side;
    record.zone = 0;
    return record;
  }
  void play(std::vector<DropRecord> records) {
    plane.with([&](auto& fake) { fake.drops = std::move(records); });
    for (int i = 0; i < 200; ++i) {
      bool is_taken = false;
      plane.with([&](auto& fake) { is_taken = fake.drops.empty(); });
      if (is_taken && !observer->drops().recent({}, 1).empty()) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ADD_FAILURE() << "the drops were not taken";
  }

  std::uint32_t group_id = 0, lb_id = 0;
};

TEST_F(Observe, ExplainsWhatPassesByTheRulesThatAllowIt) {
  const Json data = ask("/explain/", R"({"lb":"web","direction":"inbound","protocol":"tcp",
    "remote":"198.51.100.7","local_port":443})");
  EXPECT_EQ(data["verdict"], "pass");
  EXPECT_EQ(data["reason"], Json());
  EXPECT_EQ(data["local"], "10.0.0.10");
  EXPECT_EQ(data["lb_id"], lb_id);
  EXPECT_EQ(data["generation"], publisher.state()->generation);
  ASSERT_EQ(data["allowed_by"].size(), 1u);
  EXPECT_EQ(data["allowed_by"][0]["group_name"], "front");
  EXPECT_EQ(data["nearest_miss"], Json());
  EXPECT_EQ(data["live_flow_looked_for"], false);
  // By the number as well, and of the other family.
  EXPECT_EQ(ask("/explain", R"({"lb":)" + std::to_string(lb_id) +
                                R"(,"direction":"Inbound","protocol":6,"remote":"2001:db8::1",
    "local_port":"80"})")["local"],
            "fd00::10");
}

TEST_F(Observe, ExplainsWhatDropsByTheNearestMiss) {
  const Json data = ask("/explain/", R"({"lb":"web","direction":"inbound","protocol":"TCP",
    "remote":"198.51.100.7","local_port":22})");
  EXPECT_EQ(data["verdict"], "drop");
  EXPECT_EQ(data["reason"], "no_rule");
  EXPECT_EQ(data["nearest_miss"]["failed"], Json::array({"port_range"}));
  EXPECT_EQ(data["nearest_miss"]["because"], "port 22 is not in 80,443");
  const auto sentence = data["sentence"].get<std::string>();
  EXPECT_TRUE(
      sentence.starts_with("No rule allows Inbound TCP to port 22 from 198.51.100.7. The "
                           "nearest is rule "))
      << sentence;
  EXPECT_EQ(ask("/explain/", R"({"lb":"web","direction":"outbound","protocol":"TCP",
    "remote":"10.9.1.1","remote_port":8080})")["nearest_miss"]["failed"],
            Json::array({"network"}));
}

TEST_F(Observe, ExplainsWhatNoRuleIsAskedAbout) {
  EXPECT_EQ(ask("/explain/", R"({"lb":"web","direction":"inbound","protocol":"TCP",
    "remote":"224.0.0.1","local_port":80})")["reason"],
            "martian");
  EXPECT_EQ(ask("/explain/", R"({"lb":"web","direction":"inbound","protocol":"TCP",
    "remote":"10.1.0.1","local_port":0})")["reason"],
            "malformed");
  const Json reply = ask("/explain/", R"({"lb":"web","direction":"inbound","protocol":"ICMP",
    "remote":"10.1.0.1","icmp_type":0})");
  EXPECT_EQ(reply["reason"], "no_flow");
  EXPECT_EQ(ask("/explain/", R"({"lb":"web","direction":"inbound","protocol":"ICMP",
    "remote":"10.1.0.1"})")["verdict"],
            "pass");
  EXPECT_EQ(ask("/explain/", R"({"lb":"web","direction":"inbound","protocol":"ICMP",
    "remote":"2001:db8::1","icmp_type":135})")["sentence"],
            "It passes, and no rule is asked.");
}

TEST_F(Observe, SaysThatAConnectionIsLiveWhateverTheRulesSayOfANewOne) {
  dataplane::FlowReport flow;
  flow.key.local_low = 0x0a00000a;
  flow.key.remote_low = 0x0a010001;
  flow.key.local_port = 9999;
  flow.key.remote_port = 4000;
  flow.key.protocol = 6;
  flow.lb = lb_id;
  flow.state = dataplane::FlowState{3};
  flow.outlook = dataplane::FlowOutlook::kept;
  plane.with([&](auto& fake) { fake.flow_page.flows = {flow}; });
  const Json data = ask("/explain/", R"({"lb":"web","direction":"inbound","protocol":"TCP",
    "remote":"10.1.0.1","remote_port":4000,"local_port":9999})");
  EXPECT_EQ(data["verdict"], "drop");
  EXPECT_EQ(data["live_flow"]["state"], "established");
  EXPECT_EQ(data["live_flow"]["fate"], "kept");
  EXPECT_NE(data["live_flow"]["sentence"].get<std::string>().find("pass"), std::string::npos);
  EXPECT_EQ(ask("/explain/", R"({"lb":"web","direction":"inbound","protocol":"TCP",
    "remote":"10.1.0.1","remote_port":4001,"local_port":9999})")["live_flow"],
            Json());
}

TEST_F(Observe, RefusesAnExplainThatMakesNoSenseFieldByField) {
  refuses("/explain/", {"direction", "lb", "protocol", "remote"}, "{}");
  refuses("/explain/", {"direction", "local", "local_port", "protocol", "remote", "remote_port"},
          R"({"lb":"web","direction":"up","protocol":"all","remote":"10.1","remote_port":70000,
             "local":"010.0.0.1","local_port":-1})");
  refuses(
      "/explain/", {"icmp_type", "local_port"},
      R"({"lb":"web","direction":"inbound","protocol":"TCP","remote":"10.1.0.1","icmp_type":8})");
  refuses("/explain/", {"local", "remote_port"},
          R"({"lb":"web","direction":"outbound","protocol":"udp","remote":"10.1.0.1",
              "local":"10.0.0.11"})");
  refuses(
      "/explain/", {"local_port"},
      R"({"lb":"web","direction":"inbound","protocol":"ESP","remote":"10.1.0.1","local_port":1})");
  EXPECT_EQ(call("POST", at("/explain/"), R"({"lb":"nosuch","direction":"inbound","protocol":"ESP",
    "remote":"10.1.0.1"})")
                .status,
            404);
  EXPECT_EQ(call("GET", at("/explain/")).status, 405);
}

TEST_F(Observe, ListsRecentDropsWithHeadersAndNearestMiss) {
  play({drop(PacketBuilder("10.1.0.1", "10.0.0.10").tcp(4000, 22, 2).frame(), DropReason::no_rule),
        drop(PacketBuilder("10.0.0.10", "10.9.1.1").tcp(4000, 8080, 2).frame(), DropReason::no_rule,
             Side::inside),
        drop(PacketBuilder("10.1.0.1", "10.0.0.10").tcp(4000, 80, 0x10).frame(),
             DropReason::no_flow),
        drop({1, 2, 3}, DropReason::malformed)});
  const Json all = ask("/drops/")["recent"];
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0]["reason"], "malformed") << "the newest first";
  EXPECT_EQ(all[0]["lb_id"], Json());
  const Json& first = all[3];
  EXPECT_GT(first["id"].get<std::uint64_t>(), std::uint64_t{1} << 50);
  EXPECT_EQ(first["time"], "2026-01-02T03:04:05.678Z");
  EXPECT_EQ(first["lb_name"], "web");
  EXPECT_EQ(first["direction"], "Inbound");
  EXPECT_EQ(first["packet"], "TCP 10.1.0.1:4000 > 10.0.0.10:22 SYN");
  EXPECT_EQ(first["headers"]["source"], "10.1.0.1");
  EXPECT_EQ(first["headers"]["destination_port"], 22);
  EXPECT_EQ(first["headers"]["tcp_flags"], "SYN");
  EXPECT_EQ(first["nearest_miss"]["because"], "port 22 is not in 80,443");
  EXPECT_EQ(all[1]["nearest_miss"], Json()) << "the rules were not asked";
  EXPECT_EQ(ask("/drops/?reason=no_rule&direction=outbound")["recent"].size(), 1u);
  EXPECT_EQ(ask("/drops/?lb=none")["recent"].size(), 1u);
  EXPECT_EQ(ask("/drops/?lb=web&limit=2")["recent"].size(), 2u);
  EXPECT_EQ(ask("/drops/?lb=" + std::to_string(lb_id))["recent"].size(), 3u);
}

TEST_F(Observe, StreamsDropsAndGoesOnAfterTheLastOne) {
  auto stream = connect();
  stream.send(tests::http_request("GET", at("/drops/stream?reason=no_rule")));
  (void)stream.receive("retry: 2000\n\n");
  const auto frame = PacketBuilder("10.1.0.1", "10.0.0.10").tcp(4000, 22, 2).frame();
  play({drop(frame, DropReason::no_flow), drop(frame, DropReason::no_rule),
        drop(frame, DropReason::no_rule)});
  const std::string first = stream.receive("}\n\n"), second = stream.receive("}\n\n");
  EXPECT_NE(first.find("event: drop\n"), std::string::npos) << first;
  EXPECT_NE(first.find("port 22 is not in 80,443"), std::string::npos) << first;
  const auto id_of = [](const std::string& event) {
    return std::stoull(event.substr(event.find("id: ") + 4));
  };
  EXPECT_EQ(id_of(second), id_of(first) + 1);
  auto resumed = connect();
  resumed.send(tests::http_request("GET", at("/drops/stream"),
                                   "Last-Event-ID: " + std::to_string(id_of(first)) + "\r\n"));
  (void)resumed.receive("retry: 2000\n\n");
  EXPECT_EQ(id_of(resumed.receive("}\n\n")), id_of(second));
  EXPECT_EQ(call("GET", at("/drops/stream?reason=nonsense")).status, 400);
}

TEST_F(Observe, CountsDropsByReasonLoadBalancerAndDirection) {
  dataplane::LbReport none, web;
  none.dropped[0][static_cast<std::size_t>(DropReason::malformed)] = 3;
  web.passed.id = lb_id;
  web.passed.by_direction[0] = {12, 5, 500};
  web.dropped[0][static_cast<std::size_t>(DropReason::no_rule)] = 7;
  web.dropped[1][static_cast<std::size_t>(DropReason::revoked)] = 1;
  web.passed.by_direction[1] = {1, 0, 0};
  plane.with([&](auto& fake) { fake.traffic_report.lbs = {none, web}; });
  const Json all = ask("/drops/");
  EXPECT_EQ(all["total"], 11u);
  EXPECT_EQ(all["by_reason"], Json({{"malformed", 3}, {"no_rule", 7}, {"revoked", 1}}));
  EXPECT_EQ(all["counts"].size(), 3u);
  const Json filtered = ask("/drops/?lb=web&direction=inbound");
  EXPECT_EQ(filtered["total"], 7u);
  EXPECT_EQ(filtered["counts"][0]["lb_name"], "web");
  const Json lbs = ask("/counters/")["load_balancers"];
  ASSERT_EQ(lbs.size(), 2u);
  EXPECT_EQ(lbs[0]["of"], "none");
  EXPECT_EQ(lbs[1]["lb_name"], "web");
  for (const Json& lb : lbs) {
    for (const char* direction : {"inbound", "outbound"}) {
      const Json& counts = lb[direction];
      if (lb["of"] == "none") continue;  // played with drops alone
      EXPECT_EQ(
          counts["received"].get<std::uint64_t>(),
          counts["passed"].get<std::uint64_t>() + counts["dropped_total"].get<std::uint64_t>());
    }
  }
  EXPECT_EQ(ask("/counters/?lb=web")["load_balancers"].size(), 1u);
}

TEST_F(Observe, CountsEveryRuleAndThoseThatAreGone) {
  const Json rules = ask("/counters/?group=front")["rules"];
  ASSERT_EQ(rules.size(), 4u);
  const auto id = rules[1]["rule_id"].get<std::uint32_t>();
  plane.with([&](auto& fake) {
    fake.traffic_report.rules = {{id, group_id, 5, 0}, {dataplane::Tally::Rules::kOthers, 0, 9, 1}};
  });
  const Json counted = ask("/counters/?group=front")["rules"];
  EXPECT_EQ(counted[0]["flows_opened"], 0u);
  EXPECT_EQ(counted[1]["flows_opened"], 5u);
  EXPECT_EQ(counted[1]["port_range"], "22");
  const Json all = ask("/counters/")["rules"];
  EXPECT_EQ(all.back()["of"], "gone");
  EXPECT_EQ(all.back()["flows_opened"], 9u);
  EXPECT_FALSE(ask("/counters/?summary=1").contains("rules"));
  EXPECT_TRUE(ask("/counters/?summary=1").contains("total"));
  refuses("/counters/?lb=nosuch&group=nosuch", {"group", "lb"});
}

TEST_F(Observe, ListsFlowsAndHandsTheFiltersOn) {
  dataplane::FlowReport flow;
  flow.key.local_low = 0x0a00000a;
  flow.key.remote_low = 0x0a010001;
  flow.key.local_port = 80;
  flow.key.remote_port = 4000;
  flow.key.protocol = 6;
  flow.lb = lb_id;
  flow.rule = {group_id, 1};
  flow.is_rule_stale = true;  // so the table is asked
  flow.state = dataplane::FlowState{3};
  flow.generation = 2;
  flow.outlook = dataplane::FlowOutlook::draining;
  flow.drain_left_s = 30;
  plane.with([&](auto& fake) {
    fake.flow_page.flows = {flow};
    fake.flow_page.matched = 70;
    fake.flow_page.is_counted_to_the_end = true;
    fake.flow_page.next = dataplane::FlowCursor{1, 17};
  });
  const Json data =
      ask("/flows/?lb=web&remote=10.1.0.0/16&local=10.0.0.10&protocol=tcp&port=80"
          "&state=established&limit=1&cursor=0.12");
  EXPECT_EQ(data["matched"], 70u);
  EXPECT_EQ(data["is_exact"], true);
  EXPECT_EQ(data["next_cursor"], "1.17");
  const Json& row = data["flows"][0];
  EXPECT_EQ(row["lb_name"], "web");
  EXPECT_EQ(row["zone"], "edge");
  EXPECT_EQ(row["protocol"], "TCP");
  EXPECT_EQ(row["remote"], "10.1.0.1");
  EXPECT_EQ(row["state"], "established");
  EXPECT_EQ(row["fate"], "draining");
  EXPECT_EQ(row["drain_left_s"], 30u);
  EXPECT_EQ(row["group_name"], "front");
  EXPECT_NE(row["rule_id"], 1u) << "that was the rule of an older table";
  plane.with([&](auto& fake) {
    EXPECT_EQ(fake.asked_filter.lb, lb_id);
    EXPECT_EQ(fake.asked_filter.protocol, 6);
    EXPECT_EQ(fake.asked_filter.port, 80);
    EXPECT_EQ(fake.asked_filter.states, 1u << 3);
    EXPECT_EQ(rules::size_text(*fake.asked_filter.remote), "65536");
    EXPECT_EQ(rules::size_text(*fake.asked_filter.local), "1");
    EXPECT_EQ(fake.asked_cursor.cell, 12u);
    EXPECT_EQ(fake.asked_limit, 1u);
  });
  refuses("/flows/?lb=x&remote=10.1.0.1/8&local=a&protocol=all&port=x&state=y&limit=20000&cursor=1",
          {"cursor", "lb", "limit", "local", "port", "protocol", "remote", "state"});
  refuses("/drops/?lb=x&reason=y&direction=z&limit=-1", {"direction", "lb", "limit", "reason"});
}

}  // namespace
}  // namespace sluice::control
