// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <random>

#include "rules/address.h"

namespace sluice::rules {
namespace {

TEST(Address, RefusesWhatCouldBeReadInTwoWays) {
  for (const char* text :
       {"", "10.1", "010.1.1.1", "10.1.1.01", "1.2.3.4.5", "256.1.1.1", "1.2.3.", "+1.2.3.4",
        "1.2.3.4 ", "\xd9\xa1.2.3.4", "::ffff:1.2.3.4", "::ffff:102:304", "fe80::1%eth0", "1::2::3",
        "12345::", "0x0a.1.1.1", ":", "1.2.3.-4"}) {
    EXPECT_FALSE(parse_address(text)) << text;
  }
}

TEST(Address, PrintsWhatItReads) {
  for (const char* text : {"0.0.0.0", "255.255.255.255", "10.0.0.5", "::", "::1", "2001:db8::1",
                           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "1:0:2::3"}) {
    const auto address = parse_address(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(to_string(*address), text);
  }
}

TEST(Address, ReadsEveryAddressItPrints) {
  std::mt19937_64 random(42);
  for (int i = 0; i < 20'000; ++i) {
    const Address v4 = Address::ipv4(static_cast<std::uint32_t>(random()));
    const Address v6 = Address::ipv6(random() >> (random() % 64), random() >> (random() % 64));
    EXPECT_EQ(*parse_address(to_string(v4)), v4);
    const bool mapped = v6.high == 0 && (v6.low >> 32) == 0xffff;
    if (mapped) continue;
    EXPECT_EQ(*parse_address(to_string(v6)), v6) << to_string(v6);
  }
}

TEST(Prefix, RefusesHostBitsAndNamesTheNetwork) {
  const auto prefix = parse_prefix("10.0.0.5/24");
  ASSERT_FALSE(prefix);
  EXPECT_NE(prefix.error().message.find("10.0.0.0/24"), std::string::npos);
  for (const char* text : {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/024", "10.0.0.0/-1", "2001::/129",
                           "10.0.0.0", "/8", "10.0.0.0/8/8"})
    EXPECT_FALSE(parse_prefix(text)) << text;
}

TEST(Prefix, CoversExactlyItsAddresses) {
  EXPECT_EQ(range_of(*parse_prefix("10.0.0.0/24")),
            (AddressRange{*parse_address("10.0.0.0"), *parse_address("10.0.0.255")}));
  EXPECT_EQ(range_of(*parse_prefix("0.0.0.0/0")), whole_family(Family::ipv4));
  EXPECT_EQ(range_of(*parse_prefix("::/0")), whole_family(Family::ipv6));
  EXPECT_EQ(size_text(whole_family(Family::ipv6)), "340282366920938463463374607431768211456");
}

TEST(Size, CountsFromOneToAllOfIpv6) {
  EXPECT_EQ(*parse_size_less_one("1"), Uint128{0});
  EXPECT_EQ(*parse_size_less_one("4294967296"), Uint128{0xffffffffu});
  EXPECT_EQ(*parse_size_less_one("340282366920938463463374607431768211456"), ~Uint128{0});
  for (const char* text :
       {"0", "", "-1", "1.5", "1e3", " 1", "ten", "340282366920938463463374607431768211457",
        "1000000000000000000000000000000000000000"})
    EXPECT_FALSE(parse_size_less_one(text)) << text;
}

}  // namespace
}  // namespace sluice::rules
