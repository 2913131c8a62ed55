// SPDX-License-Identifier: Apache-2.0
//
// Every endpoint's refusals over HTTP: the status, the field, what the sentence says, and that
// nothing came of it.
#include <gtest/gtest.h>

#include "control/observer.h"
#include "tests/control/api_bed.h"

namespace sluice::control {
namespace {

struct Refusal {
  const char* method;
  const char* target;
  const char* body;
  int status;
  const char* field;  // among the errors; empty: none
  const char* says;   // part of what is said of it
};

// A node on which much can go wrong. LB 1 "web" is Running with a group that awaits confirmation
// (change 1), LB 2 "asleep" is Powered off, group 3 "named" names VPC 1, group 4 "free" is attached
// nowhere, group 5 "tried" awaits confirmation.
class Refusals : public ApiBed {
 protected:
  void SetUp() override {
    ApiBed::SetUp();
    observer.start();
    made("POST", "/vpc/", R"({"vpc_name":"inner","ipv4_cidr":"10.9.0.0/16"})");
    made("POST", "/security_group/", R"({"name":"named","rules":[
      {"rule_type":"Inbound","protocol_name":"TCP","port_range":"22","network":"myNetwork","vpc_id":1},
      {"rule_type":"Outbound","protocol_name":"All","network":"any"}]})");
    made("POST", "/security_group/", group("free"));
    made("POST", "/security_group/", group("tried"));
    made("POST", "/appliances/load-balancers/",
         R"({"lb_name":"web","lb_reserve_ip":"10.0.0.1","status":"Running"})");
    made("POST", "/appliances/load-balancers/",
         R"({"lb_name":"asleep","lb_reserve_ip":"10.0.0.2","status":"Powered off"})");
    made("POST", "/security_group/1/attach/", R"({"security_group_ids":[3]})");
    made("POST", "/security_group/1/attach/", R"({"security_group_ids":[5],"confirm_within":600})");
  }
  void TearDown() override {
    observer.stop();
    ApiBed::TearDown();
  }
  void fill(ApiRooms& rooms) override { rooms.observer = &observer; }
  void made(const char* method, const char* target, const std::string& body) const {
    const auto reply = call(method, at(target), body);
    ASSERT_EQ(reply.status, 200) << target << ": " << reply.text;
  }
  Observer observer{publisher, &events};
};

constexpr Refusal kRefusals[] = {
    // Groups.
    {"GET", "/security_group/99/", "", 404, "", "no security group 99"},
    {"POST", "/security_group/", R"({"rules":[]})", 400, "name", "missing"},
    {"POST", "/security_group/", R"({"name":"a b","rules":[]})", 400, "name", "letters"},
    {"POST", "/security_group/", R"({"name":"x","rules":{}})", 400, "rules", "list"},
    {"POST", "/security_group/", R"({"name":"x","rules":[{"rule_type":"Up"}]})", 400,
     "rules[0].rule_type", "Inbound nor Outbound"},
    {"POST", "/security_group/", R"({"name":"x","rules":[{"colour":1}]})", 400, "rules[0].colour",
     ""},
    {"PUT", "/security_group/4/", R"({"name":"named","rules":[
      {"rule_type":"Inbound","protocol_name":"All","network":"any"},
      {"rule_type":"Outbound","protocol_name":"All","network":"any"}]})",
     409, "name", "named"},
    {"PUT", "/security_group/99/mark-default/", "", 404, "", "no security group 99"},
    {"DELETE", "/security_group/1/", "", 409, "id", "default"},
    {"DELETE", "/security_group/3/", "", 409, "id", "web"},
    {"DELETE", "/security_group/99/", "", 404, "", "no security group 99"},
    // Attachments.
    {"GET", "/security_group/99/attach/", "", 404, "", "no load balancer 99"},
    {"GET", "/security_group/99/detach/", "", 404, "", "no load balancer 99"},
    {"POST", "/security_group/1/attach/", "{}", 400, "security_group_ids", "missing"},
    {"POST", "/security_group/1/attach/", R"({"security_group_ids":[]})", 400, "security_group_ids",
     ""},
    {"POST", "/security_group/1/attach/", R"({"security_group_ids":["a"]})", 400,
     "security_group_ids[0]", ""},
    {"POST", "/security_group/1/attach/", R"({"security_group_ids":[99]})", 404,
     "security_group_ids[0]", "99"},
    {"POST", "/security_group/1/attach/", R"({"security_group_ids":[4,3]})", 409,
     "security_group_ids", "named"},
    {"POST", "/security_group/2/attach/", R"({"security_group_ids":[4]})", 409, "status",
     "Powered off"},
    {"POST", "/security_group/2/detach/", R"({"security_group_ids":[4]})", 409, "status",
     "Powered off"},
    {"POST", "/security_group/1/detach/", R"({"security_group_ids":[1]})", 409,
     "security_group_ids", "default"},
    {"POST", "/security_group/1/detach/", R"({"security_group_ids":[4]})", 409,
     "security_group_ids", "free"},
    {"POST", "/security_group/1/detach/", R"({"security_group_ids":[5]})", 409, "", "confirm"},
    {"POST", "/security_group/1/attach/", R"({"security_group_ids":[4],"flows":"drain:x"})", 400,
     "flows", "drain"},
    {"POST", "/security_group/1/attach/", R"({"security_group_ids":[4],"expires_in":0})", 400,
     "expires_in", "seconds"},
    {"POST", "/security_group/1/attach/", R"({"security_group_ids":[4],"confirm_within":"soon"})",
     400, "confirm_within", "seconds"},
    {"POST", "/security_group/1/attach/", R"({"security_group_ids":[4],"dry_run":"yes"})", 400,
     "dry_run", ""},
    {"POST", "/security_group/1/detach/", R"({"security_group_ids":[3],"expires_in":5})", 400,
     "expires_in", ""},
    // Load balancers.
    {"GET", "/appliances/99/", "", 404, "", "no load balancer 99"},
    {"GET", "/nodes/99/", "", 404, "", "no load balancer 99"},
    {"GET", "/appliances/99/security_group/", "", 404, "", "no load balancer 99"},
    {"GET", "/appliances/2/security_group/", "", 409, "status", "Powered off"},
    {"GET", "/appliances/?per_page=0", "", 400, "per_page", ""},
    {"POST", "/appliances/load-balancers/", R"({"lb_name":"web","lb_reserve_ip":"10.0.0.9"})", 409,
     "lb_name", "web"},
    {"POST", "/appliances/load-balancers/", R"({"lb_name":"w","lb_reserve_ip":"10.0.0.1"})", 409,
     "addresses", "web"},
    {"POST", "/appliances/load-balancers/", R"({"lb_name":"w","lb_reserve_ip":"10.0.0"})", 400,
     "lb_reserve_ip", ""},
    {"POST", "/appliances/load-balancers/",
     R"({"lb_name":"w","lb_reserve_ip":"10.0.0.9","zone":"mars"})", 400, "zone", "edge"},
    {"POST", "/appliances/load-balancers/",
     R"({"lb_name":"w","lb_reserve_ip":"10.0.0.9","status":"Asleep"})", 400, "status", "Running"},
    {"POST", "/appliances/load-balancers/",
     R"({"lb_name":"w","lb_reserve_ip":"10.0.0.9","security_group_id":[99]})", 404,
     "security_group_id[0]", "99"},
    {"PUT", "/appliances/load-balancers/99/", R"({"lb_name":"w"})", 404, "", "99"},
    {"PUT", "/appliances/load-balancers/2/", R"({"lb_name":"asleep","lb_reserve_ip":"10.0.0.1"})",
     409, "addresses", "web"},
    {"PUT", "/appliances/2/status/", "{}", 400, "status", "missing"},
    {"PUT", "/appliances/99/status/", R"({"status":"Running"})", 404, "", "99"},
    {"DELETE", "/appliances/99/", "", 404, "", "99"},
    {"DELETE", "/appliances/1/", "", 409, "", "confirm"},
    // VPCs.
    {"GET", "/vpc/99/", "", 404, "", "no VPC 99"},
    {"POST", "/vpc/", R"({"vpc_name":"inner","ipv4_cidr":"10.8.0.0/16"})", 409, "vpc_name",
     "inner"},
    {"POST", "/vpc/", R"({"vpc_name":"x","ipv4_cidr":"10.8.0.0/33"})", 400, "ipv4_cidr", ""},
    {"PUT", "/vpc/1/", R"({"vpc_name":"inner"})", 400, "ipv4_cidr", ""},
    {"DELETE", "/vpc/1/", "", 409, "id", "named"},
    {"DELETE", "/vpc/99/", "", 404, "", "no VPC 99"},
    // Changes and documents.
    {"POST", "/changes/99/confirm/", "", 404, "", "no change 99"},
    {"POST", "/changes/99/rollback/", "", 404, "", "no change 99"},
    {"POST", "/apply/", "[]", 400, "body", "object"},
    {"POST", "/apply/", R"({"security_groups":[{"name":"x y"}]})", 400, "security_groups[0].name",
     ""},
    {"POST", "/apply/", R"({"load_balancers":[{"name":"n","addresses":["10.0.0.7"],
      "security_groups":["nobody"]}]})",
     400, "load_balancers[0].security_groups[0]", "nobody"},
    {"POST", "/apply/", R"({"vpcs":[]})", 409, "vpcs", "named"},
    {"POST", "/apply/", R"({"colours":[]})", 400, "colours", ""},
    {"GET", "/audit/?limit=x", "", 400, "limit", ""},
    {"GET", "/audit/?since=yesterday", "", 400, "since", "time"},
    // What the node does.
    {"GET", "/drops/?reason=boredom", "", 400, "reason", "no_rule"},
    {"GET", "/drops/?direction=up", "", 400, "direction", "inbound"},
    {"GET", "/drops/?lb=nobody", "", 400, "lb", "nobody"},
    {"GET", "/drops/stream/?reason=boredom", "", 400, "reason", "no_rule"},
    {"GET", "/flows/?remote=x", "", 400, "remote", ""},
    {"GET", "/flows/?state=tired", "", 400, "state", "established"},
    {"GET", "/flows/?cursor=x", "", 400, "cursor", "next_cursor"},
    {"GET", "/counters/?lb=nobody", "", 400, "lb", "nobody"},
    {"POST", "/explain/", "{}", 400, "lb", "missing"},
    {"POST", "/explain/", R"({"lb":"web","direction":"in","protocol":"TCP","remote":"1.2.3.4"})",
     400, "direction", ""},
    {"POST", "/explain/",
     R"({"lb":"web","direction":"inbound","protocol":"TCP","remote":"1.2.3.4"})", 400, "local_port",
     "destination port"},
    {"POST", "/explain/", R"({"lb":"web","direction":"inbound","protocol":"TCP","remote":"::1",
      "local":"10.0.0.1","local_port":80})",
     400, "local", "family"},
    // Paths and methods.
    {"GET", "/nosuch/", "", 404, "", "nosuch"},
    {"DELETE", "/vpc/", "", 405, "", "DELETE"},
    {"PUT", "/security_group/x/", "{}", 404, "", ""},
};

TEST_F(Refusals, NameTheFieldAndTheWayOutAndChangeNothing) {
  const std::string before = call("GET", at("/export/")).text;
  const std::string changes = call("GET", at("/changes/")).text;
  const std::uint64_t generation = plane.generation();
  for (const Refusal& refusal : kRefusals) {
    const auto reply = call(refusal.method, at(refusal.target), refusal.body);
    const std::string what =
        fmt::format("{} {} {}\n{}", refusal.method, refusal.target, refusal.body, reply.text);
    EXPECT_EQ(reply.status, refusal.status) << what;
    ASSERT_TRUE(reply.body.is_object()) << what;
    EXPECT_EQ(reply.body["code"], refusal.status) << what;
    EXPECT_TRUE(reply.body["data"].is_null()) << what;
    std::string said = reply.body["message"];
    EXPECT_FALSE(said.empty()) << what;
    EXPECT_FALSE(reply.header("X-Request-Id").empty()) << what;
    if (*refusal.field != '\0') {
      EXPECT_TRUE(reply.body["errors"].contains(refusal.field)) << what;
      said += reply.body["errors"].value(refusal.field, rules::Json()).dump();
    }
    EXPECT_NE(said.find(refusal.says), std::string::npos) << what;
  }
  EXPECT_EQ(call("GET", at("/export/")).text, before);
  EXPECT_EQ(call("GET", at("/changes/")).text, changes);
  EXPECT_EQ(plane.generation(), generation);
  EXPECT_EQ(publisher.state()->generation, generation);
}

}  // namespace
}  // namespace sluice::control
