// SPDX-License-Identifier: Apache-2.0
#include "rules/validate.h"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "rules/iana_protocols.h"
#include "rules/printable.h"

namespace sluice::rules {
namespace {

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

bool is_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

tl::unexpected<Error> leading_zero(std::string_view text) {
  return fail(ErrorCode::invalid,
              fmt::format("{}: a leading zero could mean octal; write it without", quote(text)));
}

Result<std::uint16_t> parse_port(std::string_view text) {
  if (!is_digits(text))
    return fail(ErrorCode::invalid, fmt::format("{} is not a port", quote(text)));
  if (text.size() > 1 && text[0] == '0') return leading_zero(text);
  unsigned value = 0;
  for (char c : text) value = std::min(value * 10 + static_cast<unsigned>(c - '0'), 100'000u);
  if (value > 65535) {
    return fail(ErrorCode::invalid,
                fmt::format("port {} is greater than 65535", printable(text, kQuotedMax)));
  }
  return static_cast<std::uint16_t>(value);
}

Result<PortRange> parse_port_item(std::string_view item) {
  const std::size_t separator = item.find_first_of("-:");
  auto first = parse_port(trim(item.substr(0, separator)));
  if (!first) return tl::unexpected(first.error());
  if (separator == std::string_view::npos) return PortRange{*first, *first};
  auto last = parse_port(trim(item.substr(separator + 1)));
  if (!last) return tl::unexpected(last.error());
  if (*first > *last) {
    return fail(ErrorCode::invalid,
                fmt::format("{}: first port is greater than last", quote(trim(item))));
  }
  return PortRange{*first, *last};
}

// Sorted, with overlapping and adjacent ranges made one.
std::vector<PortRange> merged(std::vector<PortRange> ranges) {
  std::sort(ranges.begin(), ranges.end());
  std::vector<PortRange> out;
  for (const PortRange& range : ranges) {
    if (!out.empty() && range.first <= out.back().last + 1) {
      out.back().last = std::max(out.back().last, range.last);
    } else {
      out.push_back(range);
    }
  }
  return out;
}

struct ProtocolName {
  ProtocolKind kind;
  std::string_view name;
};
constexpr std::array<ProtocolName, 8> kProtocolNames{{
    {ProtocolKind::all, "All"},
    {ProtocolKind::all_tcp, "All_TCP"},
    {ProtocolKind::all_udp, "All_UDP"},
    {ProtocolKind::custom_tcp, "Custom_TCP"},
    {ProtocolKind::custom_udp, "Custom_UDP"},
    {ProtocolKind::icmp, "ICMP"},
    {ProtocolKind::icmpv6, "ICMPv6"},
    {ProtocolKind::sctp, "SCTP"},
}};

// A number that has a name with a meaning of its own takes that meaning: 6 is Custom_TCP.
Protocol protocol_of_number(std::uint8_t number) {
  switch (number) {
    case kProtocolTcp:
      return {ProtocolKind::custom_tcp, 0};
    case kProtocolUdp:
      return {ProtocolKind::custom_udp, 0};
    case kProtocolSctp:
      return {ProtocolKind::sctp, 0};
    case kProtocolIcmpv6:
      return {ProtocolKind::icmpv6, 0};
    default:
      return {ProtocolKind::number, number};
  }
}

// What a rule allows, as a key: equal where Rule::same_match holds.
auto match_of(const Rule& rule) {
  std::vector<PortRange> ports = rule.ports.ranges;
  return std::tuple(rule.direction, rule.protocol.kind, rule.protocol.number, std::move(ports),
                    rule.icmp_type, rule.icmp_code, rule.network.type, rule.network.range,
                    rule.network.vpc);
}

constexpr std::array<std::string_view, 9> kStatusNames{"Creating",
                                                       "Deploying",
                                                       "Running",
                                                       "Powered off",
                                                       "Upgrading",
                                                       "Error",
                                                       "Backend Status Unavailable",
                                                       "Backend Connection Failure",
                                                       "Deleting"};

constexpr std::array<std::string_view, 3> kKindNames{"public", "private", "vpc"};

}  // namespace

Result<PortSet> parse_ports(std::string_view text) {
  text = trim(text);
  if (equals_ignoring_case(text, "All")) return PortSet{};
  std::vector<PortRange> ranges;
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view item = trim(text.substr(0, comma));
    if (item.empty()) {
      return fail(ErrorCode::invalid,
                  "a port is missing; write All, 443, 80-443 or a list such as 22,80,90:110");
    }
    if (ranges.size() == kPortItemsMax) {
      return fail(ErrorCode::invalid,
                  fmt::format("more than {} items; split the rule", kPortItemsMax));
    }
    auto range = parse_port_item(item);
    if (!range) return tl::unexpected(range.error());
    ranges.push_back(*range);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return PortSet{merged(std::move(ranges))};
}

std::string to_string(const PortSet& ports) {
  if (ports.is_all()) return "All";
  std::string text;
  for (const PortRange& range : ports.ranges) {
    if (!text.empty()) text += ',';
    text += range.first == range.last ? fmt::format("{}", range.first)
                                      : fmt::format("{}-{}", range.first, range.last);
  }
  return text;
}

Result<Protocol> parse_protocol(std::string_view text) {
  text = trim(text);
  for (const ProtocolName& entry : kProtocolNames)
    if (equals_ignoring_case(entry.name, text)) return Protocol{entry.kind, 0};
  if (const auto number = iana_protocol_number(text)) return protocol_of_number(*number);
  if (is_digits(text) && text.size() <= 3) {
    if (text.size() > 1 && text[0] == '0') return leading_zero(text);
    unsigned number = 0;
    for (char c : text) number = number * 10 + static_cast<unsigned>(c - '0');
    if (number <= 255) return protocol_of_number(static_cast<std::uint8_t>(number));
  }
  return fail(ErrorCode::invalid,
              fmt::format("unknown protocol {}; use All, All_TCP, All_UDP, Custom_TCP, "
                          "Custom_UDP, ICMP, ICMPv6, SCTP, an IANA name such as ESP, or 0-255",
                          quote(text)));
}

std::string to_string(const Protocol& protocol) {
  for (const ProtocolName& entry : kProtocolNames)
    if (entry.kind == protocol.kind) return std::string(entry.name);
  // 1 by number is ICMPv4 alone, while the name ICMP covers both: it must not print as the name.
  const std::string_view name = iana_protocol_name(protocol.number);
  if (name.empty() || protocol.number == kProtocolIcmp) return fmt::format("{}", protocol.number);
  return std::string(name);
}

Result<std::string> parse_name(std::string_view text) {
  text = trim(text);
  if (text.empty()) return fail(ErrorCode::invalid, "a name is missing");
  const bool legal = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
  if (!legal) return fail(ErrorCode::invalid, "only letters, digits, _ and - may be used");
  if (text.size() > kNameLengthMax) {
    return fail(ErrorCode::invalid,
                fmt::format("{} characters are more than {}", text.size(), kNameLengthMax));
  }
  return std::string(text);
}

std::string_view to_string(LbStatus status) {
  return kStatusNames[static_cast<std::size_t>(status)];
}

Result<LbStatus> parse_status(std::string_view text) {
  text = trim(text);
  for (std::size_t i = 0; i < kStatusNames.size(); ++i)
    if (equals_ignoring_case(kStatusNames[i], text)) return static_cast<LbStatus>(i);
  return fail(ErrorCode::invalid, fmt::format("unknown status {}; use one of {}", quote(text),
                                              fmt::join(kStatusNames, ", ")));
}

std::string_view to_string(Direction direction) {
  return direction == Direction::inbound ? "Inbound" : "Outbound";
}

std::string_view to_string(AddressKind kind) {
  return kKindNames[static_cast<std::size_t>(kind)];
}

Result<AddressKind> parse_address_kind(std::string_view text) {
  for (std::size_t i = 0; i < kKindNames.size(); ++i)
    if (kKindNames[i] == text) return static_cast<AddressKind>(i);
  return fail(ErrorCode::invalid, fmt::format("unknown kind of address {}; use one of {}",
                                              quote(text), fmt::join(kKindNames, ", ")));
}

std::vector<Problem> check_group(const Group& group, std::string_view where) {
  std::vector<Problem> problems;
  for (Direction direction : {Direction::inbound, Direction::outbound}) {
    const bool has = std::any_of(group.rules.begin(), group.rules.end(),
                                 [&](const Rule& rule) { return rule.direction == direction; });
    if (!has) {
      problems.push_back({fmt::format("{}rules", where),
                          fmt::format("at least one {} rule is needed", to_string(direction))});
    }
  }
  if (group.rules.size() > kRulesPerGroupMax) {
    problems.push_back(
        {fmt::format("{}rules", where),
         fmt::format("{} rules are more than {}", group.rules.size(), kRulesPerGroupMax)});
  }
  return problems;
}

void keep_identities(const Group* previous, Group& next, RuleId& next_id) {
  std::set<RuleId> free;  // identities of `previous` that nobody has taken yet
  if (previous != nullptr)
    for (const Rule& rule : previous->rules) free.insert(rule.id);
  // Ids that were sent count first, then equal content, then new ids.
  for (Rule& rule : next.rules)
    if (rule.id != 0 && free.erase(rule.id) == 0) rule.id = 0;
  // Equal rules are told apart by their order; each identity is looked at once.
  std::map<decltype(match_of(next.rules[0])), std::deque<RuleId>> by_match;
  if (previous != nullptr)
    for (const Rule& rule : previous->rules)
      if (free.contains(rule.id)) by_match[match_of(rule)].push_back(rule.id);
  for (Rule& rule : next.rules) {
    if (rule.id != 0) continue;
    const auto same = by_match.find(match_of(rule));
    if (same != by_match.end() && !same->second.empty()) {
      rule.id = same->second.front();
      same->second.pop_front();
    } else {
      rule.id = next_id++;
    }
  }
}

}  // namespace sluice::rules
