// SPDX-License-Identifier: Apache-2.0
//
// What operators speak of, as plain values: rule, group, VPC, load balancer, node.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rules/address.h"
#include "rules/shared_map.h"

namespace sluice::rules {

using GroupId = std::uint32_t;  // 0 is no group
using RuleId = std::uint32_t;   // unique on the node; 0 is no rule
using LbId = std::uint32_t;     // 0 is no load balancer
using VpcId = std::uint32_t;

// Inbound: from outside to an LB address, the remote is the source.
// Outbound: from an LB address to outside, the remote is the destination.
enum class Direction : std::uint8_t { inbound, outbound };

// Protocol numbers (IANA) that rules and packets give a meaning of their own.
inline constexpr std::uint8_t kProtocolIcmp = 1;
inline constexpr std::uint8_t kProtocolTcp = 6;
inline constexpr std::uint8_t kProtocolUdp = 17;
inline constexpr std::uint8_t kProtocolIcmpv6 = 58;
inline constexpr std::uint8_t kProtocolSctp = 132;

// The portal's names are kept apart from their meaning, so that a rule prints as it was written.
enum class ProtocolKind : std::uint8_t {
  all,         // every IP protocol
  all_tcp,     // TCP, all ports
  all_udp,     // UDP, all ports
  custom_tcp,  // TCP with ports
  custom_udp,  // UDP with ports
  icmp,        // ICMP and ICMPv6; with a type, ICMP only
  icmpv6,      // ICMPv6
  sctp,        // SCTP with ports
  number,      // any other protocol by number, no ports
};

struct Protocol {
  ProtocolKind kind = ProtocolKind::all;
  std::uint8_t number = 0;  // kind == number only
  bool operator==(const Protocol&) const = default;
};

[[nodiscard]] constexpr bool has_ports(ProtocolKind kind) {
  return kind == ProtocolKind::custom_tcp || kind == ProtocolKind::custom_udp ||
         kind == ProtocolKind::sctp || kind == ProtocolKind::all_tcp ||
         kind == ProtocolKind::all_udp;
}

struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 65535;
  bool operator==(const PortRange&) const = default;
  auto operator<=>(const PortRange&) const = default;
};

// Sorted, disjoint, not adjacent: equal sets are equal values. {0-65535} is "All".
struct PortSet {
  std::vector<PortRange> ranges{PortRange{}};
  bool operator==(const PortSet&) const = default;
  [[nodiscard]] bool is_all() const { return ranges.size() == 1 && ranges[0] == PortRange{}; }
};

enum class NetworkType : std::uint8_t { any, manual, my_network };

struct Network {
  NetworkType type = NetworkType::any;
  AddressRange range;  // manual: First IP .. First IP + Size - 1
  VpcId vpc = 0;       // my_network: all prefixes of that VPC
  bool operator==(const Network&) const = default;
};

struct Rule {
  RuleId id = 0;
  Direction direction = Direction::inbound;
  Protocol protocol;
  PortSet ports;                          // destination ports; "All" where the protocol has none
  std::optional<std::uint8_t> icmp_type;  // icmp and icmpv6 only
  std::optional<std::uint8_t> icmp_code;  // only with icmp_type
  Network network;
  std::string description;
  // Equal in what it allows: everything but identity and description.
  [[nodiscard]] bool same_match(const Rule& other) const {
    return direction == other.direction && protocol == other.protocol && ports == other.ports &&
           icmp_type == other.icmp_type && icmp_code == other.icmp_code && network == other.network;
  }
  bool operator==(const Rule&) const = default;
};

struct Group {
  GroupId id = 0;
  std::string name;
  std::string description;
  bool is_all_traffic_rule = false;  // the built-in Allow-All-Traffic
  std::vector<Rule> rules;
  bool operator==(const Group&) const = default;
};

struct Vpc {
  VpcId id = 0;
  std::string name;
  std::vector<Prefix> prefixes;
  bool operator==(const Vpc&) const = default;
};

enum class LbStatus : std::uint8_t {
  creating,
  deploying,
  running,
  powered_off,
  upgrading,
  error,
  backend_status_unavailable,
  backend_connection_failure,
  deleting,
};

enum class AddressKind : std::uint8_t { public_ip, private_ip, vpc_ip };

struct LbAddress {
  Address address;
  AddressKind kind = AddressKind::private_ip;
  bool operator==(const LbAddress&) const = default;
};

struct LoadBalancer {
  LbId id = 0;
  std::string name;
  LbStatus status = LbStatus::creating;
  std::string zone;
  std::vector<LbAddress> addresses;
  std::vector<GroupId> groups;  // attached, in the order of attachment, no duplicates
  GroupId default_group = 0;    // one of `groups`; cannot be detached
  std::string registration;     // what else the controller sent, as a JSON object, answered back
  bool operator==(const LoadBalancer&) const = default;
};

struct SystemRules;

// All that a node enforces. Values are shared between successive versions of the node: a change
// replaces the pointers of what it changes and nothing else.
struct Node {
  SharedMap<VpcId, std::shared_ptr<const Vpc>> vpcs;
  SharedMap<GroupId, std::shared_ptr<const Group>> groups;
  SharedMap<LbId, std::shared_ptr<const LoadBalancer>> load_balancers;
  GroupId account_default_group = 0;  // default group of LBs created from now on
  // From the node's configuration, never stored; null: none (system_rules.h).
  std::shared_ptr<const SystemRules> system_rules;
};

}  // namespace sluice::rules
