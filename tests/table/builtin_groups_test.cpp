// SPDX-License-Identifier: Apache-2.0
#include "rules/builtin_groups.h"

#include <gtest/gtest.h>

#include "tests/table/table_bed.h"

namespace sluice::rules {
namespace {

TEST(BuiltinGroups, DefaultLetsHttpInAndEverythingOut) {
  Node node;
  for (const Group& group : builtin_groups())
    node.groups[group.id] = std::make_shared<const Group>(group);
  LoadBalancer lb;
  lb.id = 1;
  lb.addresses = {{Address::ipv4(1), AddressKind::private_ip}};
  lb.groups = {kDefaultGroupId};
  node.load_balancers[1] = std::make_shared<const LoadBalancer>(lb);
  const auto table = tests::compiled(node);
  const auto allows = [&](Direction direction, std::uint8_t protocol, std::uint16_t service) {
    return table->allows({Address::ipv4(0x08080808), 0, service, protocol, direction});
  };
  EXPECT_TRUE(allows(Direction::inbound, 6, 80));
  EXPECT_TRUE(allows(Direction::inbound, 6, 443));
  EXPECT_TRUE(allows(Direction::inbound, 1, 8 << 8));
  EXPECT_FALSE(allows(Direction::inbound, 6, 8443));
  EXPECT_FALSE(allows(Direction::inbound, 17, 80));
  EXPECT_TRUE(allows(Direction::outbound, 17, 53));
  EXPECT_TRUE(allows(Direction::outbound, 47, 47));
}

}  // namespace
}  // namespace sluice::rules
