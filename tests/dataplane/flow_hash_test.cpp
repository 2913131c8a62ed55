// SPDX-License-Identifier: Apache-2.0
//
// The distribution of both flow hashes over keys as proxies, scanners and attackers make them.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <set>

#include "tests/dataplane/flow_table_bed.h"

namespace sluice::dataplane {
namespace {

using tests::key_of;
using Hash = std::uint64_t (*)(const FlowKey&, const HashSecret&) noexcept;

constexpr HashSecret kSecrets[] = {
    {0, 0}, {3, 4}, {7, 8}, {~0ull, 1}, {0x0123456789abcdef, 0xfedcba9876543210}};

class FlowHash : public testing::TestWithParam<const char*> {
 protected:
  Hash hash_ = siphash_of;
  void SetUp() override {
    if (std::string(GetParam()) != "aes") return;
    if (!has_aes_hash()) GTEST_SKIP() << "this CPU has no AES rounds";
    hash_ = aes_hash_of;
  }
};
INSTANTIATE_TEST_SUITE_P(Both, FlowHash, testing::Values("siphash", "aes"),
                         [](const auto& name) { return std::string(name.param); });

// Keys that differ little: the i-th of each family.
using Family = FlowKey (*)(std::uint32_t i);
const std::pair<const char*, Family> kFamilies[] = {
    {"ports in sequence",
     [](std::uint32_t i) {
       FlowKey key = key_of(0);
       key.remote_port = static_cast<std::uint16_t>(i);
       key.remote_low += i >> 16;
       return key;
     }},
    {"addresses in sequence",
     [](std::uint32_t i) {
       FlowKey key = key_of(0);
       key.remote_low += i;
       return key;
     }},
    {"addresses by 256",
     [](std::uint32_t i) {
       FlowKey key = key_of(0);
       key.remote_low = i << 8;
       return key;
     }},
    {"address and port together",
     [](std::uint32_t i) {
       FlowKey key = key_of(0);
       key.remote_low += i;
       key.remote_port = static_cast<std::uint16_t>(i);
       return key;
     }},
    {"both sides move",
     [](std::uint32_t i) {
       FlowKey key = key_of(0);
       key.local_low += i & 511;
       key.remote_low += i >> 9;
       return key;
     }},
    {"IPv6 hosts of one network",
     [](std::uint32_t i) {
       FlowKey key = key_of(0, true);
       key.remote_low = i;
       return key;
     }},
    {"IPv6 networks",
     [](std::uint32_t i) {
       FlowKey key = key_of(0, true);
       key.remote_high += std::uint64_t{i} << 8;
       return key;
     }},
};

// Chi-squared of 1,024 bins of the bits that pick a bucket, and of those that make the tag: mean
// 1,023, standard deviation 45. Six deviations either way.
TEST_P(FlowHash, SpreadsKeysThatHardlyDiffer) {
  constexpr std::size_t kBins = 1024, kKeys = 1 << 18;
  for (const auto& [name, family] : kFamilies) {
    for (const HashSecret& secret : kSecrets) {
      for (int shift : {0, 10, 24, 54}) {
        std::vector<double> bins(kBins);
        for (std::uint32_t i = 0; i < kKeys; ++i)
          ++bins[(hash_(family(i), secret) >> shift) % kBins];
        double chi = 0;
        const double expected = static_cast<double>(kKeys) / kBins;
        for (double count : bins) chi += (count - expected) * (count - expected) / expected;
        EXPECT_LT(chi, 1023 + 6 * 45) << name << " shift " << shift;
        EXPECT_GT(chi, 1023 - 6 * 45) << name << " shift " << shift;
      }
    }
  }
}

// Many in one call are the same as one by one.
TEST(FlowHashes, OfManyAreThoseOfEach) {
  for (std::size_t count : {0u, 1u, 7u, 32u}) {
    std::vector<Ipv4FlowWords> flows;
    std::vector<std::uint64_t> hashes(count + 1, 42);
    for (std::uint64_t i = 0; i < count; ++i) {
      const FlowKey key = key_of(i * 77);
      flows.push_back({key.ipv4_addresses(), key.identity()});
      EXPECT_EQ(flows.back().key(), key);
      EXPECT_EQ(flows.back().zone(), key.zone);
    }
    hash_each(flows, kSecrets[4], hashes.data());
    for (std::size_t i = 0; i < count; ++i)
      EXPECT_EQ(hashes[i], hash_of(flows[i].key(), kSecrets[4]));
    EXPECT_EQ(hashes[count], 42u);
  }
}

// As many pairs share their low 32 bits as chance has it, and none all 64.
TEST_P(FlowHash, CollidesAsChanceDoes) {
  constexpr std::uint32_t kKeys = 1 << 18;
  for (const auto& [name, family] : kFamilies) {
    std::vector<std::uint64_t> hashes;
    for (std::uint32_t i = 0; i < kKeys; ++i) hashes.push_back(hash_(family(i), kSecrets[1]));
    std::sort(hashes.begin(), hashes.end());
    EXPECT_EQ(std::adjacent_find(hashes.begin(), hashes.end()), hashes.end()) << name;
    std::vector<std::uint32_t> low(hashes.begin(), hashes.end());
    std::sort(low.begin(), low.end());
    int pairs = 0;
    for (std::size_t i = 1; i < low.size(); ++i) pairs += low[i] == low[i - 1];
    // Poisson of mean n^2 / 2^33 = 8.
    EXPECT_LE(pairs, 8 + 8 * 3) << name;
  }
}

// One bit of the key or of the secret turns half of the bits of the hash.
TEST_P(FlowHash, TurnsHalfOfItsBitsWithEveryBitOfTheKey) {
  constexpr int kKeys = 256;
  for (bool ipv6 : {false, true}) {
    // IPv4 lives in the low 32 bits of each address; the last byte is the family.
    for (std::size_t bit = 0; bit < (sizeof(FlowKey) - 1) * 8; ++bit) {
      if (!ipv6 && (bit < 64 || (bit >= 96 && bit < 192) || (bit >= 224 && bit < 256))) continue;
      int turned = 0;
      std::array<int, 64> of_bit{};
      for (int i = 0; i < kKeys; ++i) {
        const HashSecret secret{static_cast<std::uint64_t>(i) * 0x9e3779b97f4a7c15u, 5};
        FlowKey key = key_of(static_cast<std::uint64_t>(i) * 7, ipv6);
        const std::uint64_t before = hash_(key, secret);
        auto* bytes = reinterpret_cast<unsigned char*>(&key);
        bytes[bit / 8] ^= static_cast<unsigned char>(1u << (bit % 8));
        const std::uint64_t change = before ^ hash_(key, secret);
        turned += std::popcount(change);
        for (std::size_t b = 0; b < 64; ++b) of_bit[b] += static_cast<int>((change >> b) & 1u);
      }
      // 16,384 coin throws: mean 8,192, deviation 64; 256 throws a bit: mean 128, deviation 8.
      EXPECT_NEAR(turned, kKeys * 32, 6 * 64) << "bit " << bit << (ipv6 ? " IPv6" : " IPv4");
      for (std::size_t b = 0; b < 64; ++b)
        EXPECT_NEAR(of_bit[b], kKeys / 2, 56) << "bit " << bit << " on " << b;
    }
  }
}

TEST_P(FlowHash, DependsOnTheSecret) {
  std::set<std::uint64_t> seen;
  for (const HashSecret& secret : kSecrets) {
    seen.insert(hash_(key_of(1), secret));
    seen.insert(hash_(key_of(1, true), secret));
  }
  EXPECT_EQ(seen.size(), std::size(kSecrets) * 2);
}

// The fullest bucket of a full table, as chance has it, for keys of every family.
TEST_P(FlowHash, FillsBucketsEvenly) {
  constexpr std::size_t kBuckets = 1 << 15, kKeys = kBuckets * 4;
  for (const auto& [name, family] : kFamilies) {
    std::vector<int> buckets(kBuckets);
    for (std::uint32_t i = 0; i < kKeys; ++i) ++buckets[hash_(family(i), kSecrets[2]) % kBuckets];
    // Poisson of mean 4: more than 19 in one of 32,768 buckets has a chance of 1 in 10,000.
    EXPECT_LE(*std::max_element(buckets.begin(), buckets.end()), 19) << name;
  }
}

}  // namespace
}  // namespace sluice::dataplane
