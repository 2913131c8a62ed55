// SPDX-License-Identifier: Apache-2.0
//
// Services as numbers on a few axes: TCP, UDP and SCTP ports, ICMP and ICMPv6 type << 8 | code, and
// one axis on which every other protocol stands as its IANA number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "rules/model.h"

namespace sluice::rules {

inline constexpr std::size_t kAxes = 6;
inline constexpr std::uint8_t kAxisTcp = 0;
inline constexpr std::uint8_t kAxisUdp = 1;
inline constexpr std::uint8_t kAxisIcmp = 2;
inline constexpr std::uint8_t kAxisIcmpv6 = 3;
inline constexpr std::uint8_t kAxisSctp = 4;
inline constexpr std::uint8_t kAxisOther = 5;

// Where the packets of a protocol stand: number = (service & keep) | fixed, on `axis`.
struct ServiceAxis {
  std::uint16_t keep = 0;
  std::uint8_t axis = kAxisOther;
  std::uint8_t fixed = 0;
};
struct ServiceAxes {
  ServiceAxis of[256];  // by protocol number
};
[[nodiscard]] constexpr ServiceAxes service_axes() {
  ServiceAxes axes{};
  for (unsigned i = 0; i < 256; ++i) axes.of[i].fixed = static_cast<std::uint8_t>(i);
  axes.of[kProtocolTcp] = {0xffff, kAxisTcp, 0};
  axes.of[kProtocolUdp] = {0xffff, kAxisUdp, 0};
  axes.of[kProtocolIcmp] = {0xffff, kAxisIcmp, 0};
  axes.of[kProtocolIcmpv6] = {0xffff, kAxisIcmpv6, 0};
  axes.of[kProtocolSctp] = {0xffff, kAxisSctp, 0};
  return axes;
}
inline constexpr ServiceAxes kServiceAxes = service_axes();

// A packet's service on its axis.
struct ServicePoint {
  std::uint8_t axis = 0;
  std::uint16_t number = 0;
};
[[nodiscard]] constexpr ServicePoint service_point(std::uint8_t protocol, std::uint16_t service) {
  const ServiceAxis place = kServiceAxes.of[protocol];
  return {place.axis, static_cast<std::uint16_t>((service & place.keep) | place.fixed)};
}

// Numbers first..last of one axis.
struct ServiceSpan {
  std::uint8_t axis = 0;
  std::uint16_t first = 0;
  std::uint16_t last = 65535;
  auto operator<=>(const ServiceSpan&) const = default;
};

// What a rule covers, by axis; networks apart.
[[nodiscard]] std::vector<ServiceSpan> service_spans(const Rule& rule);

}  // namespace sluice::rules
