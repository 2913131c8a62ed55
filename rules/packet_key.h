// SPDX-License-Identifier: Apache-2.0
//
// What a rule can look at in a packet, and nothing else.
#pragma once

#include <cstdint>

#include "rules/model.h"

namespace sluice::rules {

// Index of a load balancer's policy in one Table; meaningless in another.
using PolicyIndex = std::uint32_t;

struct PacketKey {
  Address remote;          // source if inbound, destination if outbound
  PolicyIndex policy = 0;  // from Table::find_lb
  // TCP, UDP, SCTP: destination port; ICMP, ICMPv6: type << 8 | code; else the protocol's number
  // again (service_axis.h): what a rule tells apart within a protocol.
  std::uint16_t service = 0;
  std::uint8_t protocol = 0;  // IANA number
  Direction direction = Direction::inbound;
};

// The rule that allowed a packet, as flows, counters and answers name it.
struct RuleRef {
  GroupId group = 0;
  RuleId rule = 0;
  bool operator==(const RuleRef&) const = default;
};

}  // namespace sluice::rules
