// SPDX-License-Identifier: Apache-2.0
#include "rules/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include "rules/printable.h"

namespace sluice::rules {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// A decimal number of at most `digits_max` digits; no sign, no leading zero but "0" itself.
std::optional<unsigned> parse_decimal(std::string_view text, std::size_t digits_max) {
  if (text.empty() || text.size() > digits_max) return std::nullopt;
  if (!std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  if (text.size() > 1 && text[0] == '0') return std::nullopt;
  unsigned value = 0;
  for (char c : text) value = value * 10 + static_cast<unsigned>(c - '0');
  return value;
}

Result<Address> parse_ipv4(std::string_view text) {
  std::uint32_t value = 0;
  int octets = 0;
  std::string_view rest = text;
  while (true) {
    const std::size_t dot = rest.find('.');
    const std::string_view octet = rest.substr(0, dot);
    if (octet.size() > 1 && octet[0] == '0' && is_digit(octet[1])) {
      return fail(ErrorCode::invalid,
                  fmt::format("{}: an octet with a leading zero could mean octal; "
                              "write it without",
                              quote(text)));
    }
    const auto number = parse_decimal(octet, 3);
    if (!number || *number > 255 || ++octets > 4) {
      return fail(ErrorCode::invalid,
                  fmt::format("{} is not an IPv4 address (four numbers 0-255)", quote(text)));
    }
    value = (value << 8) | *number;
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  if (octets != 4) {
    return fail(ErrorCode::invalid,
                fmt::format("{} is a short form; write all four octets", quote(text)));
  }
  return Address::ipv4(value);
}

Result<Address> parse_ipv6(std::string_view text) {
  std::array<unsigned char, 16> bytes{};
  const std::string terminated(text);
  if (text.size() > 45 || terminated.find('\0') != std::string::npos ||
      inet_pton(AF_INET6, terminated.c_str(), bytes.data()) != 1) {
    return fail(ErrorCode::invalid, fmt::format("{} is not an IPv6 address", quote(text)));
  }
  std::uint64_t high = 0, low = 0;
  for (std::size_t i = 0; i < 8; ++i) high = (high << 8) | bytes[i];
  for (std::size_t i = 8; i < 16; ++i) low = (low << 8) | bytes[i];
  if (high == 0 && (low >> 32) == 0xffff) {
    return fail(ErrorCode::invalid,
                fmt::format("{} is an IPv4-mapped address; write the IPv4 address {}", quote(text),
                            to_string(Address::ipv4(static_cast<std::uint32_t>(low)))));
  }
  return Address::ipv6(high, low);
}

unsigned bits_of(Family family) {
  return family == Family::ipv4 ? 32 : 128;
}

// The addresses of a prefix beyond its first.
Uint128 host_mask(Family family, unsigned length) {
  const unsigned host_bits = bits_of(family) - length;
  return host_bits == 128 ? ~Uint128{0} : (Uint128{1} << host_bits) - 1;
}

std::string decimal(Uint128 value) {
  std::string digits;
  do {
    digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(value % 10)));
    value /= 10;
  } while (value != 0);
  return digits;
}

constexpr std::string_view kTwoToThe128 = "340282366920938463463374607431768211456";

}  // namespace

AddressRange range_of(const Prefix& prefix) {
  const Family family = prefix.address.family;
  return {prefix.address,
          Address::of(family, prefix.address.value() | host_mask(family, prefix.length))};
}

AddressRange whole_family(Family family) {
  return {Address::of(family, 0), Address::of(family, address_max(family))};
}

Result<Address> parse_address(std::string_view text) {
  if (text.empty()) return fail(ErrorCode::invalid, "an address is missing");
  return text.find(':') == std::string_view::npos ? parse_ipv4(text) : parse_ipv6(text);
}

Result<Prefix> parse_prefix(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) {
    return fail(ErrorCode::invalid, fmt::format("{} has no prefix length", quote(text)));
  }
  auto address = parse_address(text.substr(0, slash));
  if (!address) return tl::unexpected(address.error());
  const auto length = parse_decimal(text.substr(slash + 1), 3);
  if (!length || *length > bits_of(address->family)) {
    return fail(ErrorCode::invalid, fmt::format("{}: the prefix length must be 0-{}", quote(text),
                                                bits_of(address->family)));
  }
  const Uint128 hosts = host_mask(address->family, *length);
  if ((address->value() & hosts) != 0) {
    const Address network = Address::of(address->family, address->value() & ~hosts);
    return fail(ErrorCode::invalid, fmt::format("{} has host bits set; did you mean {}/{}?",
                                                quote(text), to_string(network), *length));
  }
  return Prefix{*address, static_cast<std::uint8_t>(*length)};
}

Result<Uint128> parse_size_less_one(std::string_view text) {
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_digit)) {
    return fail(
        ErrorCode::invalid,
        fmt::format("{} is not a count of addresses (a decimal number, 1 or more)", quote(text)));
  }
  if (text == "0") {
    return fail(ErrorCode::invalid, "size 0 holds no address; the least is 1, the first alone");
  }
  if (text[0] == '0') {
    return fail(ErrorCode::invalid,
                fmt::format("{}: a leading zero could mean octal; write it without", quote(text)));
  }
  if (text == kTwoToThe128) return ~Uint128{0};
  if (text.size() > kTwoToThe128.size() ||
      (text.size() == kTwoToThe128.size() && text > kTwoToThe128)) {
    return fail(ErrorCode::invalid, fmt::format("size {} is more than all of IPv6 (2^128)",
                                                printable(text, kQuotedMax)));
  }
  Uint128 value = 0;
  for (char c : text) value = value * 10 + static_cast<unsigned>(c - '0');
  return value - 1;
}

std::string to_string(const Address& address) {
  if (address.family == Family::ipv4) {
    const auto value = static_cast<std::uint32_t>(address.low);
    return fmt::format("{}.{}.{}.{}", value >> 24, (value >> 16) & 255, (value >> 8) & 255,
                       value & 255);
  }
  std::array<unsigned char, 16> bytes{};
  for (unsigned i = 0; i < 8; ++i) {
    bytes[i] = static_cast<unsigned char>(address.high >> (56 - 8 * i));
    bytes[8 + i] = static_cast<unsigned char>(address.low >> (56 - 8 * i));
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(AF_INET6, bytes.data(), text.data(), text.size());
  return text.data();
}

std::string to_string(const Prefix& prefix) {
  return fmt::format("{}/{}", to_string(prefix.address), prefix.length);
}

std::string size_text(const AddressRange& range) {
  const Uint128 less_one = range.last.value() - range.first.value();
  if (less_one == ~Uint128{0}) return std::string(kTwoToThe128);
  return decimal(less_one + 1);
}

}  // namespace sluice::rules
