// SPDX-License-Identifier: Apache-2.0
//
// SEMANTICS §2, "Network type" and "First IP and Size".
#include <gtest/gtest.h>

#include "tests/rules/rule_json.h"

namespace sluice::rules {
namespace {

constexpr const char* kAllOfIpv6 = "340282366920938463463374607431768211456";

std::string with(const std::string& fields) {
  return R"("protocol_name":"All",)" + fields;
}

std::string manual(const char* first, const char* size) {
  return with(std::string(R"("network":"manual","network_cidr":")") + first +
              R"(","network_size":)" + size);
}

struct Read {
  const char* description;
  std::string fields;
  const char* first;
  const char* last;
  const char* size;
};

void expect_read(std::initializer_list<Read> cases) {
  for (const Read& read : cases) {
    const auto group = group_with(read.fields);
    ASSERT_TRUE(group) << read.description << ": " << group.error().message;
    const Network& network = group->rules[1].network;
    EXPECT_EQ(network.type, NetworkType::manual) << read.description;
    EXPECT_EQ(to_string(network.range.first), read.first) << read.description;
    EXPECT_EQ(to_string(network.range.last), read.last) << read.description;
    EXPECT_EQ(size_text(network.range), read.size) << read.description;
    // Answered as First IP and Size, which read the same.
    const Json json = rule_to_json(group->rules[1]);
    EXPECT_EQ(json["network_cidr"], read.first);
    const Json& size = json["network_size"];
    EXPECT_EQ(size.is_string() ? size.get<std::string>() : size.dump(), read.size);
    const auto again = group_from_json(group_to_json(*group, false), {});
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->rules, group->rules) << read.description;
  }
}

TEST(NetworkAny, IgnoresFirstIpAndSize) {
  for (const char* fields :
       {R"("network":"any")", R"("network":"ANY")", R"("network":"any","network_cidr":"--")",
        R"("network":"any","network_cidr":"--","network_size":1)",
        R"("network":"any","network_cidr":"no address","network_size":"none")",
        R"("network":"any","network_cidr":7,"network_size":[])",
        R"("network":"any","network_cidr":"10.0.0.0/8","network_size":0)"}) {
    const auto group = group_with(with(fields));
    ASSERT_TRUE(group) << fields << ": " << group.error().message;
    EXPECT_EQ(group->rules[1].network, Network{}) << fields;
    const Json json = rule_to_json(group->rules[1]);
    EXPECT_EQ(json["network"], "any");
    EXPECT_EQ(json["network_cidr"], "--");
    EXPECT_EQ(json["network_size"], 1);
    EXPECT_TRUE(json["vpc_id"].is_null());
  }
}

TEST(NetworkType, IsOneOfThree) {
  expect_refused({
      {"none", with(R"("port_range":"All")"), "network", "missing"},
      {"null", with(R"("network":null)"), "network", "missing"},
      {"unknown", with(R"("network":"everywhere")"), "network", "none of any, manual, myNetwork"},
      {"empty", with(R"("network":"")"), "network", "none of"},
      {"an address without length", with(R"("network":"10.0.0.0")"), "network", "none of"},
      {"a number", with(R"("network":4)"), "network", "must be a text"},
  });
}

TEST(FirstIpAndSize, AreExactInBothFamilies) {
  expect_read({
      {"the contract's example", manual("10.0.0.5", "10"), "10.0.0.5", "10.0.0.14", "10"},
      {"one", manual("10.0.0.5", "1"), "10.0.0.5", "10.0.0.5", "1"},
      {"an aligned power of two", manual("10.0.0.0", "256"), "10.0.0.0", "10.0.0.255", "256"},
      {"a power of two off its alignment", manual("10.0.0.1", "256"), "10.0.0.1", "10.0.1.0",
       "256"},
      {"over octets", manual("10.0.255.250", "10"), "10.0.255.250", "10.1.0.3", "10"},
      {"a prime", manual("192.0.2.77", "104729"), "192.0.2.77", "192.1.155.101", "104729"},
      {"the last address", manual("255.255.255.255", "1"), "255.255.255.255", "255.255.255.255",
       "1"},
      {"to the last address", manual("255.255.255.250", "6"), "255.255.255.250", "255.255.255.255",
       "6"},
      {"all of IPv4", manual("0.0.0.0", "4294967296"), "0.0.0.0", "255.255.255.255", "4294967296"},
      {"all but the first", manual("0.0.0.1", "4294967295"), "0.0.0.1", "255.255.255.255",
       "4294967295"},
      {"size as text", manual("10.0.0.5", "\"10\""), "10.0.0.5", "10.0.0.14", "10"},
      {"IPv6", manual("2001:db8::5", "3"), "2001:db8::5", "2001:db8::7", "3"},
      {"IPv6 over 64 bits", manual("2001:db8::ffff:ffff:ffff:ffff", "2"),
       "2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::", "2"},
      {"a size of 2^64", manual("2001:db8::", "18446744073709551616"),
       "2001:db8::", "2001:db8::ffff:ffff:ffff:ffff", "18446744073709551616"},
      {"a size of 2^64 + 1, as text", manual("2001:db8::", "\"18446744073709551617\""),
       "2001:db8::", "2001:db8:0:1::", "18446744073709551617"},
      {"beyond 2^53, where doubles end", manual("2001:db8::", "9007199254740993"),
       "2001:db8::", "2001:db8:0:0:20::", "9007199254740993"},
      {"all of IPv6, as a number", manual("::", kAllOfIpv6),
       "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kAllOfIpv6},
      {"all of IPv6 but the first", manual("::1", "\"340282366920938463463374607431768211455\""),
       "::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "340282366920938463463374607431768211455"},
  });
}

TEST(FirstIpAndSize, DoNotRunPastTheEndOfTheirFamily) {
  expect_refused({
      {"IPv4", manual("255.255.255.250", "10"), "network_size", "at most 6 from 255.255.255.250"},
      {"IPv4, by one", manual("255.255.255.255", "2"), "network_size", "past the end of IPv4"},
      {"IPv4 and all of it and one", manual("0.0.0.0", "4294967297"), "network_size",
       "at most 4294967296"},
      {"IPv4 with a size of IPv6", manual("0.0.0.0", kAllOfIpv6), "network_size", "past the end"},
      {"IPv6", manual("::1", kAllOfIpv6), "network_size", "past the end of IPv6"},
      {"IPv6, by one", manual("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2"), "network_size",
       "at most 1 from"},
      {"more than all of IPv6", manual("::", "340282366920938463463374607431768211457"),
       "network_size", "more than all of IPv6"},
      {"a thousand digits", manual("::", ("\"1" + std::string(999, '0') + "\"").c_str()),
       "network_size", "more than all of IPv6"},
  });
}

TEST(Size, IsACountOfOneOrMore) {
  expect_refused({
      {"zero", manual("10.0.0.0", "0"), "network_size", "the least is 1"},
      {"zero as text", manual("10.0.0.0", "\"0\""), "network_size", "the least is 1"},
      {"negative", manual("10.0.0.0", "-1"), "network_size", "not a count"},
      {"a fraction", manual("10.0.0.0", "1.5"), "network_size", "whole number"},
      {"a float that is whole", manual("10.0.0.0", "1.0"), "network_size", "whole number"},
      {"an exponent", manual("10.0.0.0", "1e3"), "network_size", "whole number"},
      {"true", manual("10.0.0.0", "true"), "network_size", "must be"},
      {"a list", manual("10.0.0.0", "[1]"), "network_size", "must be"},
      {"no number", manual("10.0.0.0", "\"ten\""), "network_size", "not a count"},
      {"empty", manual("10.0.0.0", "\"\""), "network_size", "not a count"},
      {"a space", manual("10.0.0.0", "\" 1\""), "network_size", "not a count"},
      {"a sign", manual("10.0.0.0", "\"+1\""), "network_size", "not a count"},
      {"hexadecimal", manual("10.0.0.0", "\"0x10\""), "network_size", "not a count"},
      {"a leading zero", manual("10.0.0.0", "\"010\""), "network_size", "leading zero"},
      {"digits that are not ASCII", manual("10.0.0.0", "\"\xd9\xa1\""), "network_size",
       "not a count"},
      {"none", with(R"("network":"manual","network_cidr":"10.0.0.0")"), "network_size", "missing"},
      {"null", manual("10.0.0.0", "null"), "network_size", "missing"},
  });
}

TEST(FirstIp, IsNeverGuessed) {
  for (const auto& [text, reason] : {std::pair{"", "missing"},
                                     {"--", "missing"},
                                     {"10.1", "short form"},
                                     {"10", "short form"},
                                     {"167772161", "not an IPv4 address"},
                                     {"010.1.1.1", "leading zero"},
                                     {"10.1.1.00", "leading zero"},
                                     {"10.0.0.256", "not an IPv4 address"},
                                     {"10.0.0.0.0", "not an IPv4 address"},
                                     {"10.0.0.", "not an IPv4 address"},
                                     {"0x0a.0.0.1", "not an IPv4 address"},
                                     {" 10.0.0.1", "not an IPv4 address"},
                                     {"10.0.0.1 ", "not an IPv4 address"},
                                     {"10.0.0.1\\n", "not an IPv4 address"},
                                     {"10.0.0.1\\u0000", "not an IPv4 address"},
                                     {"localhost", "not an IPv4 address"},
                                     {"\xd9\xa1\xd9\xa0.0.0.1", "not an IPv4 address"},
                                     {"\xef\xbc\x91.2.3.4", "not an IPv4 address"},
                                     {"1\xe3\x80\x82"
                                      "2.3.4",
                                      "not an IPv4 address"},
                                     {"::ffff:10.0.0.1", "write the IPv4 address 10.0.0.1"},
                                     {"::ffff:a00:1", "IPv4-mapped"},
                                     {"0:0:0:0:0:ffff:10.0.0.1", "IPv4-mapped"},
                                     {"fe80::1%eth0", "not an IPv6 address"},
                                     {"[2001:db8::1]", "not an IPv6 address"},
                                     {"2001:db8", "not an IPv6 address"},
                                     {"1::2::3", "not an IPv6 address"},
                                     {"::12345", "not an IPv6 address"},
                                     {"::1\\u0000", "not an IPv6 address"},
                                     {"::010.1.1.1", "not an IPv6 address"}}) {
    expect_refused({{text, manual(text, "1"), "network_cidr", reason}});
  }
  expect_refused({
      {"none", with(R"("network":"manual","network_size":1)"), "network_cidr", "missing"},
      {"a number", with(R"("network":"manual","network_cidr":10,"network_size":1)"), "network_cidr",
       "must be a text"},
  });
}

TEST(Cidr, IsTheFirstIpAndTheSizeInOne) {
  const auto alone = [](const char* cidr) {
    return with(std::string(R"("network":"manual","network_cidr":")") + cidr + "\"");
  };
  const auto as_network = [](const char* cidr, const char* more = "") {
    return with(std::string(R"("network":")") + cidr + "\"" + more);
  };
  expect_read({
      {"alone", alone("10.0.0.0/24"), "10.0.0.0", "10.0.0.255", "256"},
      {"a size that agrees", manual("10.0.0.0/24", "256"), "10.0.0.0", "10.0.0.255", "256"},
      {"one address", manual("10.0.0.7/32", "1"), "10.0.0.7", "10.0.0.7", "1"},
      {"/0", alone("0.0.0.0/0"), "0.0.0.0", "255.255.255.255", "4294967296"},
      {"/31", alone("10.0.0.6/31"), "10.0.0.6", "10.0.0.7", "2"},
      {"IPv6", alone("2001:db8::/126"), "2001:db8::", "2001:db8::3", "4"},
      {"IPv6 /128", alone("2001:db8::5/128"), "2001:db8::5", "2001:db8::5", "1"},
      {"IPv6 /0", manual("::/0", kAllOfIpv6), "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
       kAllOfIpv6},
      {"as the network", as_network("10.0.0.0/24"), "10.0.0.0", "10.0.0.255", "256"},
      {"as the network, with what the portal fills in",
       as_network("10.0.0.0/24", R"(,"network_cidr":"--","network_size":1)"), "10.0.0.0",
       "10.0.0.255", "256"},
      {"as the network, twice",
       as_network("10.0.0.0/24", R"(,"network_cidr":"10.0.0.0/24","network_size":256)"), "10.0.0.0",
       "10.0.0.255", "256"},
  });
  expect_refused({
      {"a size that disagrees", manual("10.0.0.0/24", "10"), "network_size",
       "disagrees with 10.0.0.0/24, which holds 256 addresses"},
      {"a size of one is none to ignore", manual("10.0.0.0/24", "1"), "network_size", "disagrees"},
      {"a size that disagrees with the network", as_network("10.0.0.0/24", R"(,"network_size":10)"),
       "network_size", "disagrees"},
      {"a First IP that disagrees with the network",
       as_network("10.0.0.0/24", R"(,"network_cidr":"10.0.1.0/24")"), "network_cidr", "disagrees"},
      {"host bits", alone("10.0.0.1/24"), "network_cidr", "did you mean 10.0.0.0/24?"},
      {"host bits of IPv6", alone("2001:db8::1/64"), "network_cidr", "did you mean 2001:db8::/64?"},
      {"host bits of the network", as_network("10.0.0.1/24"), "network", "host bits"},
      {"too long", alone("10.0.0.0/33"), "network_cidr", "must be 0-32"},
      {"too long for IPv6", alone("2001:db8::/129"), "network_cidr", "must be 0-128"},
      {"no length", alone("10.0.0.0/"), "network_cidr", "must be 0-32"},
      {"a leading zero", alone("10.0.0.0/08"), "network_cidr", "must be 0-32"},
      {"a mask", alone("10.0.0.0/255.0.0.0"), "network_cidr", "must be 0-32"},
      {"a short form", alone("10/8"), "network_cidr", "short form"},
      {"an octal octet", alone("010.0.0.0/8"), "network_cidr", "leading zero"},
      {"IPv4-mapped", alone("::ffff:0:0/96"), "network_cidr", "IPv4-mapped"},
      {"twice", alone("10.0.0.0/8/8"), "network_cidr", "must be 0-32"},
  });
}

}  // namespace
}  // namespace sluice::rules
