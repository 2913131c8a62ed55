// SPDX-License-Identifier: Apache-2.0
//
// IP addresses of both families as ordered values: parsing, printing, prefixes, exact ranges.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "rules/result.h"

namespace sluice::rules {

enum class Family : std::uint8_t { ipv4, ipv6 };

// 128-bit unsigned arithmetic for ranges; a GCC and clang extension, spelled once.
__extension__ using Uint128 = unsigned __int128;

// Host byte order. An IPv4 address stands in the low 32 bits of `low`; `high` is then 0.
struct Address {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  Family family = Family::ipv4;

  [[nodiscard]] static constexpr Address ipv4(std::uint32_t value) {
    return {0, value, Family::ipv4};
  }
  [[nodiscard]] static constexpr Address ipv6(std::uint64_t high, std::uint64_t low) {
    return {high, low, Family::ipv6};
  }
  [[nodiscard]] static constexpr Address of(Family family, Uint128 value) {
    return {static_cast<std::uint64_t>(value >> 64), static_cast<std::uint64_t>(value), family};
  }
  [[nodiscard]] constexpr Uint128 value() const { return (static_cast<Uint128>(high) << 64) | low; }
  constexpr bool operator==(const Address&) const = default;
  // IPv4 sorts before IPv6, then by number.
  constexpr std::strong_ordering operator<=>(const Address& other) const {
    if (auto order = family <=> other.family; order != 0) return order;
    if (auto order = high <=> other.high; order != 0) return order;
    return low <=> other.low;
  }
};

// The greatest address of a family as a number: 2^32 - 1 or 2^128 - 1.
[[nodiscard]] constexpr Uint128 address_max(Family family) {
  return family == Family::ipv4 ? Uint128{0xffffffffu} : ~Uint128{0};
}

// first..last, both included and of one family, first <= last.
struct AddressRange {
  Address first;
  Address last;
  bool operator==(const AddressRange&) const = default;
  auto operator<=>(const AddressRange&) const = default;
  [[nodiscard]] constexpr bool contains(const Address& address) const {
    return address.family == first.family && first <= address && address <= last;
  }
};

struct Prefix {
  Address address;          // host bits are zero
  std::uint8_t length = 0;  // bits: 0-32 or 0-128
  bool operator==(const Prefix&) const = default;
  auto operator<=>(const Prefix&) const = default;
};

[[nodiscard]] AddressRange range_of(const Prefix& prefix);
[[nodiscard]] AddressRange whole_family(Family family);

// Strict text forms. Refused, never guessed: leading-zero octets, short IPv4 forms, IPv4-mapped
// IPv6, zone ids, signs, non-ASCII digits. The error message says what is wrong and what to write.
[[nodiscard]] Result<Address> parse_address(std::string_view text);
// "10.0.0.0/24", "2001:db8::/32"; host bits set are refused and the prefix meant is suggested.
[[nodiscard]] Result<Prefix> parse_prefix(std::string_view text);
// A count of addresses, 1 .. 2^128 in decimal; returned less one, so that 2^128 fits.
[[nodiscard]] Result<Uint128> parse_size_less_one(std::string_view text);

// RFC 5952 for IPv6.
[[nodiscard]] std::string to_string(const Address& address);
[[nodiscard]] std::string to_string(const Prefix& prefix);
// The number of addresses in decimal, 1 .. 2^128.
[[nodiscard]] std::string size_text(const AddressRange& range);

}  // namespace sluice::rules
