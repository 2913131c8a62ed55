// SPDX-License-Identifier: Apache-2.0
#include "rules/service_axis.h"

namespace sluice::rules {
namespace {

std::vector<ServiceSpan> ports_on(std::uint8_t axis, const PortSet& ports) {
  std::vector<ServiceSpan> spans;
  for (const PortRange& range : ports.ranges) spans.push_back({axis, range.first, range.last});
  return spans;
}

ServiceSpan types_on(std::uint8_t axis, const Rule& rule) {
  if (!rule.icmp_type) return {axis, 0, 65535};
  const unsigned type = unsigned{*rule.icmp_type} << 8;
  return {axis, static_cast<std::uint16_t>(type | rule.icmp_code.value_or(0)),
          static_cast<std::uint16_t>(type | rule.icmp_code.value_or(255))};
}

ServiceSpan whole_protocol(std::uint8_t protocol) {
  const ServiceAxis& axis = kServiceAxes.of[protocol];
  if (axis.axis != kAxisOther) return {axis.axis, 0, 65535};
  return {kAxisOther, protocol, protocol};
}

}  // namespace

std::vector<ServiceSpan> service_spans(const Rule& rule) {
  switch (rule.protocol.kind) {
    case ProtocolKind::all: {
      std::vector<ServiceSpan> spans;
      for (std::uint8_t axis = 0; axis < kAxes; ++axis) spans.push_back({axis, 0, 65535});
      return spans;
    }
    case ProtocolKind::all_tcp:
    case ProtocolKind::custom_tcp:
      return ports_on(kAxisTcp, rule.ports);
    case ProtocolKind::all_udp:
    case ProtocolKind::custom_udp:
      return ports_on(kAxisUdp, rule.ports);
    case ProtocolKind::sctp:
      return ports_on(kAxisSctp, rule.ports);
    case ProtocolKind::icmp:
      // With a type it means ICMPv4 alone: the numbers differ by family (SEMANTICS §2).
      if (rule.icmp_type) return {types_on(kAxisIcmp, rule)};
      return {types_on(kAxisIcmp, rule), types_on(kAxisIcmpv6, rule)};
    case ProtocolKind::icmpv6:
      return {types_on(kAxisIcmpv6, rule)};
    case ProtocolKind::number:
      return {whole_protocol(rule.protocol.number)};
  }
  return {};
}

}  // namespace sluice::rules
