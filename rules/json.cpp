// SPDX-License-Identifier: Apache-2.0
#include "rules/json.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "rules/iana_protocols.h"
#include "rules/printable.h"
#include "rules/validate.h"

namespace sluice::rules {
namespace {

// "--" is how the portal prints a First IP that does not matter.
bool is_blank(const std::optional<std::string>& text) {
  return !text || text->empty() || *text == "--";
}

// `less_one` addresses beyond `first`.
Result<AddressRange> range_from(const Address& first, Uint128 less_one) {
  const Uint128 room = address_max(first.family) - first.value();
  if (less_one > room) {
    return fail(
        ErrorCode::invalid,
        fmt::format("runs past the end of {}; at most {} from {}",
                    first.family == Family::ipv4 ? "IPv4" : "IPv6",
                    size_text({first, Address::of(first.family, address_max(first.family))}),
                    to_string(first)));
  }
  return AddressRange{first, Address::of(first.family, first.value() + less_one)};
}

// First IP and Size; First IP may be a CIDR, whose own size then may be left out but not differ.
std::optional<AddressRange> read_range(FieldReader& fields, std::string_view first_field,
                                       const std::string& first_text, bool size_counts) {
  std::optional<Uint128> less_one;
  bool size_ok = true;
  if (size_counts) {
    if (const auto size = fields.digits_or_text("network_size")) {
      less_one = fields.take("network_size", parse_size_less_one(*size));
      size_ok = less_one.has_value();
    } else if (fields.has("network_size")) {
      size_ok = false;
    }
  }
  if (first_text.find('/') != std::string::npos) {
    const auto prefix = fields.take(first_field, parse_prefix(first_text));
    if (!prefix || !size_ok) return std::nullopt;
    const AddressRange range = range_of(*prefix);
    if (less_one && *less_one != range.last.value() - range.first.value()) {
      fields.problem("network_size", fmt::format("disagrees with {}, which holds {} addresses",
                                                 to_string(*prefix), size_text(range)));
      return std::nullopt;
    }
    return range;
  }
  const auto first = fields.take(first_field, parse_address(first_text));
  if (!first || !size_ok) return std::nullopt;
  if (!less_one) {
    fields.problem("network_size", "missing: how many addresses from First IP on (1 for it alone)");
    return std::nullopt;
  }
  return fields.take("network_size", range_from(*first, *less_one));
}

std::optional<VpcId> read_vpc(FieldReader& fields, const Node& node) {
  const auto text = fields.digits_or_text("vpc_id");
  if (!text || text->empty()) {
    if (!fields.has("vpc_id") || text) {
      fields.problem("vpc_id", "missing: myNetwork names a VPC, such as vpc_5");
    }
    return std::nullopt;
  }
  const auto id = find_vpc(node, *text);
  if (!id) fields.problem("vpc_id", fmt::format("there is no VPC {}", quote(*text)));
  return id;
}

void read_network(FieldReader& fields, const Node& node, Rule& rule) {
  const auto type = fields.text("network");
  if (!type) {
    if (!fields.has("network"))
      fields.problem("network", "missing: any, manual, myNetwork or a CIDR");
    return;
  }
  // First IP and Size are read where they count and nowhere else.
  if (equals_ignoring_case(*type, "any")) {
    rule.network = {};
  } else if (equals_ignoring_case(*type, "manual")) {
    rule.network.type = NetworkType::manual;
    const auto first = fields.text("network_cidr");
    if (first ? is_blank(first) : !fields.has("network_cidr")) {
      fields.problem("network_cidr", "missing: First IP, such as 10.0.0.0");
    } else if (!first) {
      return;  // of a wrong type, and noted
    } else if (const auto range = read_range(fields, "network_cidr", *first, true)) {
      rule.network.range = *range;
    }
  } else if (equals_ignoring_case(*type, "myNetwork")) {
    rule.network.type = NetworkType::my_network;
    if (const auto vpc = read_vpc(fields, node)) rule.network.vpc = *vpc;
  } else if (type->find('/') != std::string::npos) {
    rule.network.type = NetworkType::manual;
    const auto first = fields.text("network_cidr");
    if (!is_blank(first) && *first != *type) {
      fields.problem("network_cidr", fmt::format("disagrees with network {}", quote(*type)));
    }
    // Beside a CIDR in `network`, "--" and 1 are what the portal fills in; any other size counts.
    const bool is_filled_in = is_blank(first) && fields.is_one("network_size");
    if (const auto range = read_range(fields, "network", *type, !is_filled_in))
      rule.network.range = *range;
  } else {
    fields.problem("network",
                   fmt::format("{} is none of any, manual, myNetwork, a CIDR", quote(*type)));
  }
}

void read_ports(FieldReader& fields, Rule& rule) {
  const auto text = fields.digits_or_text("port_range");
  if (!text) return;
  const auto ports = fields.take("port_range", parse_ports(*text));
  if (!ports) return;
  const ProtocolKind kind = rule.protocol.kind;
  const bool custom = kind == ProtocolKind::custom_tcp || kind == ProtocolKind::custom_udp ||
                      kind == ProtocolKind::sctp;
  if (!custom && !ports->is_all()) {
    fields.problem(
        "port_range",
        fmt::format("{} takes no ports; write All, or use Custom_TCP, Custom_UDP or SCTP",
                    to_string(rule.protocol)));
    return;
  }
  rule.ports = *ports;
}

void read_icmp(FieldReader& fields, Rule& rule) {
  const auto type = fields.number("icmp_type", 255);
  const auto code = fields.number("icmp_code", 255);
  if (!fields.has("icmp_type") && !fields.has("icmp_code")) return;
  if (rule.protocol.kind != ProtocolKind::icmp && rule.protocol.kind != ProtocolKind::icmpv6) {
    fields.problem(
        fields.has("icmp_type") ? "icmp_type" : "icmp_code",
        fmt::format("{} has no ICMP types; use ICMP or ICMPv6", to_string(rule.protocol)));
    return;
  }
  if (!fields.has("icmp_type")) {
    fields.problem("icmp_code", "a code needs its icmp_type");
    return;
  }
  if (type) rule.icmp_type = static_cast<std::uint8_t>(*type);
  if (code) rule.icmp_code = static_cast<std::uint8_t>(*code);
}

struct ReadRule {
  Rule rule;
  bool has_direction = false;
};

// The direction, where it is readable.
std::optional<Direction> read_direction(FieldReader& fields) {
  const auto text = fields.text("rule_type");
  if (text && equals_ignoring_case(*text, "Inbound")) return Direction::inbound;
  if (text && equals_ignoring_case(*text, "Outbound")) return Direction::outbound;
  if (text) {
    fields.problem("rule_type", fmt::format("{} is neither Inbound nor Outbound", quote(*text)));
  } else if (!fields.has("rule_type")) {
    fields.problem("rule_type", "missing: Inbound or Outbound");
  }
  return std::nullopt;
}

ReadRule read_rule(const Json& json, const Node& node, const std::string& where,
                   std::vector<Problem>& problems) {
  ReadRule read;
  Rule& rule = read.rule;
  if (!json.is_object()) {
    problems.push_back({where, fmt::format("must be an object, not {}", json.type_name())});
    return read;
  }
  FieldReader fields(json, where + ".", problems);
  fields.refuse_others({"id", "rule_type", "protocol_name", "port_range", "network", "network_cidr",
                        "network_size", "vpc_id", "icmp_type", "icmp_code", "description"});
  if (const auto id = fields.number("id", UINT32_MAX)) rule.id = static_cast<RuleId>(*id);
  if (const auto direction = read_direction(fields)) {
    rule.direction = *direction;
    read.has_direction = true;
  }
  bool known_protocol = false;
  if (const auto name = fields.digits_or_text("protocol_name")) {
    if (const auto protocol = fields.take("protocol_name", parse_protocol(*name))) {
      rule.protocol = *protocol;
      known_protocol = true;
    }
  } else if (!fields.has("protocol_name")) {
    fields.problem("protocol_name", "missing: All, Custom_TCP, ICMP, …");
  }
  if (known_protocol) {
    read_ports(fields, rule);
    read_icmp(fields, rule);
  } else if (const auto ports = fields.digits_or_text("port_range")) {
    (void)fields.take("port_range", parse_ports(*ports));
  }
  read_network(fields, node, rule);
  if (const auto description = fields.text("description")) {
    if (description->size() > kDescriptionLengthMax) {
      fields.problem("description", fmt::format("longer than {} bytes", kDescriptionLengthMax));
    }
    rule.description = *description;
  }
  return read;
}

std::optional<Prefix> read_prefix(FieldReader& fields, std::string_view field, const Json& json,
                                  std::optional<Family> family) {
  if (!json.is_string()) {
    fields.problem(field, "must be a CIDR such as 10.0.0.0/16");
    return std::nullopt;
  }
  auto prefix = fields.take(field, parse_prefix(json.get<std::string>()));
  if (prefix && family && prefix->address.family != *family) {
    fields.problem(field, fmt::format("must be of {}", *family == Family::ipv4 ? "IPv4" : "IPv6"));
    return std::nullopt;
  }
  return prefix;
}

// The place of a whole object, from what is put before its fields.
std::string without_dot(std::string_view where) {
  return std::string(where.substr(0, where.size() - (where.ends_with('.') ? 1 : 0)));
}

// "5" and "vpc_5" are 5; nothing for what is no id as it is printed.
std::optional<VpcId> read_vpc_id(std::string_view text) {
  if (text.starts_with("vpc_")) text.remove_prefix(4);
  VpcId id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc{} || end != text.data() + text.size() || text.front() == '0')
    return std::nullopt;
  return id;
}

}  // namespace

std::optional<VpcId> find_vpc(const Node& node, std::string_view text) {
  if (const auto id = read_vpc_id(text); id && node.vpcs.contains(*id)) return id;
  for (const auto& [id, vpc] : node.vpcs)
    if (vpc->name == text) return id;
  return std::nullopt;
}

std::optional<Problem> vpc_name_reads_as_id(const Vpc& vpc, VpcId id_max) {
  const auto id = read_vpc_id(vpc.name);
  if (!id || *id == vpc.id || *id > id_max) return std::nullopt;
  return Problem{"vpc_name", fmt::format("{} reads as the id of another VPC; choose a name that is "
                                         "no id",
                                         quote(vpc.name))};
}

std::optional<Rule> rule_from_json(const Json& json, const Node& node, const std::string& where,
                                   std::vector<Problem>& problems) {
  const std::size_t before = problems.size();
  ReadRule read = read_rule(json, node, where, problems);
  if (problems.size() != before) return std::nullopt;
  return std::move(read.rule);
}

Result<Group> group_from_json(const Json& json, const Node& node, std::string_view where) {
  std::vector<Problem> problems;
  if (!json.is_object()) {
    return fail(refusal({{without_dot(where), "a security group must be an object"}}));
  }
  Group group;
  FieldReader fields(json, std::string(where), problems);
  if (const auto name = fields.text("name")) {
    if (auto parsed = fields.take("name", parse_name(*name))) group.name = *parsed;
  } else if (!fields.has("name")) {
    fields.problem("name", "missing: 1-50 of letters, digits, _ and -");
  }
  if (const auto description = fields.text("description")) {
    if (description->size() > kDescriptionLengthMax) {
      fields.problem("description", fmt::format("longer than {} bytes", kDescriptionLengthMax));
    }
    group.description = *description;
  }
  const Json* rules = fields.array("rules");
  if (rules != nullptr && rules->size() <= kRulesPerGroupMax) {
    group.rules.reserve(rules->size());
    bool directions_known = true;
    for (std::size_t i = 0; i < rules->size(); ++i) {
      ReadRule read = read_rule((*rules)[i], node, fmt::format("{}rules[{}]", where, i), problems);
      directions_known &= read.has_direction;
      group.rules.push_back(std::move(read.rule));
    }
    // A rule whose direction cannot be read may be the one that would be missed.
    if (directions_known) {
      const auto missed = check_group(group, where);
      problems.insert(problems.end(), missed.begin(), missed.end());
    }
  } else if (rules != nullptr) {
    fields.problem("rules", fmt::format("more than {} rules", kRulesPerGroupMax));
  } else if (!fields.has("rules")) {
    fields.problem("rules", "missing: a list of rules, at least one Inbound and one Outbound");
  }
  if (!problems.empty()) return fail(refusal(std::move(problems)));
  return group;
}

Result<Vpc> vpc_from_json(const Json& json, std::string_view where) {
  std::vector<Problem> problems;
  if (!json.is_object()) return fail(refusal({{without_dot(where), "a VPC must be an object"}}));
  FieldReader fields(json, std::string(where), problems);
  Vpc vpc;
  const std::string_view name_field = fields.has("vpc_name") ? "vpc_name" : "name";
  if (const auto name = fields.text(name_field)) {
    if (auto parsed = fields.take(name_field, parse_name(*name))) vpc.name = *parsed;
  } else if (!fields.has(name_field)) {
    fields.problem("vpc_name", "missing: 1-50 of letters, digits, _ and -");
  }
  const auto add = [&](std::string_view field, const Json& value, std::optional<Family> family) {
    if (auto prefix = read_prefix(fields, field, value, family)) vpc.prefixes.push_back(*prefix);
  };
  if (fields.has("ipv4_cidr")) add("ipv4_cidr", json["ipv4_cidr"], Family::ipv4);
  if (fields.has("ipv6_cidr")) add("ipv6_cidr", json["ipv6_cidr"], Family::ipv6);
  if (const Json* cidrs = fields.array("cidrs")) {
    for (std::size_t i = 0; i < cidrs->size(); ++i)
      add(fmt::format("cidrs[{}]", i), (*cidrs)[i], std::nullopt);
  }
  std::sort(vpc.prefixes.begin(), vpc.prefixes.end());
  vpc.prefixes.erase(std::unique(vpc.prefixes.begin(), vpc.prefixes.end()), vpc.prefixes.end());
  if (vpc.prefixes.empty() && problems.empty()) {
    fields.problem("ipv4_cidr", "missing: a VPC has at least one of ipv4_cidr, ipv6_cidr, cidrs");
  }
  if (!problems.empty()) return fail(refusal(std::move(problems)));
  return vpc;
}

Json vpc_to_json(const Vpc& vpc) {
  Json json{{"vpc_id", vpc.id},     {"network_id", vpc.id}, {"vpc_name", vpc.name},
            {"ipv4_cidr", nullptr}, {"ipv6_cidr", nullptr}, {"cidrs", Json::array()}};
  for (const Prefix& prefix : vpc.prefixes) {
    const char* field = prefix.address.family == Family::ipv4 ? "ipv4_cidr" : "ipv6_cidr";
    if (json[field].is_null()) json[field] = to_string(prefix);
    json["cidrs"].push_back(to_string(prefix));
  }
  return json;
}

}  // namespace sluice::rules
