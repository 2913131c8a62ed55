// SPDX-License-Identifier: Apache-2.0
//
// A rule that says myNetwork follows its VPC: the change of the VPC alone, acknowledged, is
// enforced on the packets of every LB that has the group, on new connections and on live ones.
#include <gtest/gtest.h>

#include "dataplane/offline/replay.h"
#include "tests/control/publisher_bed.h"
#include "tests/packet_builder.h"

namespace sluice::control {
namespace {

using dataplane::DropReason;
using dataplane::Side;
using dataplane::Verdict;
using dataplane::offline::Replay;
using rules::Json;
using tests::PacketBuilder;

constexpr const char* kLb = "10.0.0.1";

// Group 3 allows TCP 80 from VPC 1, which is 10.8.0.0/16 and fd08::/48; LB 1 has it alone.
class VpcChange : public testing::Test {
 protected:
  Bed bed;
  Replay gate{64};
  dataplane::TimeNs now = 1'000'000'000;

  void SetUp() override {
    make([](const State& state) {
      return create_vpc(state, {{"vpc_name", "prod"}, {"cidrs", {"10.8.0.0/16", "fd08::/48"}}});
    });
    make([](const State& state) {
      return create_group(
          state, {{"name", "inner"},
                  {"rules",
                   {{{"rule_type", "Inbound"},
                     {"protocol_name", "TCP"},
                     {"port_range", "80"},
                     {"network", "myNetwork"},
                     {"vpc_id", "vpc_1"}},
                    {{"rule_type", "Outbound"}, {"protocol_name", "GRE"}, {"network", "any"}}}}});
    });
    make([this](const State& state) {
      return register_lb(state,
                         {{"lb_name", "web"},
                          {"addresses", {kLb, "fd00::1"}},
                          {"status", "Running"},
                          {"security_group_id", 3}},
                         bed.plane.zones());
    });
  }
  void make(Publisher::Change change) {
    const auto applied = bed.change(std::move(change));
    ASSERT_TRUE(applied) << applied.error().message;
    gate.publish(bed.plane.current());
  }
  void set_prefixes(const Json& cidrs) {
    make([&](const State& state) {
      return update_vpc(state, 1, {{"vpc_name", "prod"}, {"cidrs", cidrs}});
    });
  }
  DropReason tcp(const std::string& client, std::uint16_t port, std::uint8_t flags) {
    const bool v6 = client.find(':') != std::string::npos;
    now += 1'000'000;
    return gate
        .judge({now, Side::outside,
                PacketBuilder(client, v6 ? "fd00::1" : kLb).tcp(port, 80, flags).frame()})
        .reason;
  }
  DropReason syn(const std::string& client) { return tcp(client, next_port++, 2); }
  std::uint16_t next_port = 1024;
};

TEST_F(VpcChange, IsEnforcedOnNewConnections) {
  EXPECT_EQ(syn("10.8.0.5"), DropReason::none);
  EXPECT_EQ(syn("fd08::5"), DropReason::none);
  EXPECT_EQ(syn("10.9.0.5"), DropReason::no_rule);
  set_prefixes({"10.9.0.0/16"});
  EXPECT_EQ(syn("10.8.0.5"), DropReason::no_rule);
  EXPECT_EQ(syn("fd08::5"), DropReason::no_rule);
  EXPECT_EQ(syn("10.9.0.5"), DropReason::none);
}

TEST_F(VpcChange, CutsLiveFlowsThatLeftIt) {
  ASSERT_EQ(tcp("10.8.0.5", 4000, 2), DropReason::none);
  ASSERT_EQ(tcp("10.8.1.5", 4001, 2), DropReason::none);
  set_prefixes({"10.8.0.0/24"});
  EXPECT_EQ(tcp("10.8.0.5", 4000, 2), DropReason::none) << "not disturbed by one packet";
  EXPECT_EQ(tcp("10.8.1.5", 4001, 2), DropReason::revoked);
}

TEST_F(VpcChange, OfItsNameChangesNothing) {
  make([](const State& state) {
    return update_vpc(state, 1, {{"vpc_name", "renamed"}, {"cidrs", {"10.8.0.0/16"}}});
  });
  EXPECT_EQ(syn("10.8.0.5"), DropReason::none);
}

TEST_F(VpcChange, ThatIsRefusedChangesNothing) {
  const auto before = bed.plane.generation();
  const auto refused = bed.change([](const State& state) {
    return update_vpc(state, 1, {{"vpc_name", "prod"}, {"cidrs", {"10.9.0.1/16"}}});
  });
  ASSERT_FALSE(refused);
  EXPECT_EQ(bed.plane.generation(), before);
  gate.publish(bed.plane.current());
  EXPECT_EQ(syn("10.8.0.5"), DropReason::none);
  EXPECT_EQ(syn("10.9.0.5"), DropReason::no_rule);
}

}  // namespace
}  // namespace sluice::control
