// SPDX-License-Identifier: Apache-2.0
#include "rules/policy_table.h"

#include <algorithm>

namespace sluice::rules {

ServiceClass ServiceAxis::class_of(std::uint16_t service) const noexcept {
  const auto after = std::upper_bound(starts.begin(), starts.end(), service);
  return first_class + static_cast<ServiceClass>(after - starts.begin()) - 1;
}

template <class Number>
std::uint32_t AddressAxis<Number>::row_of(Number address) const noexcept {
  const auto after = std::upper_bound(starts.begin(), starts.end(), address);
  return rows[static_cast<std::size_t>(after - starts.begin()) - 1];
}
template struct AddressAxis<std::uint32_t>;
template struct AddressAxis<Uint128>;

ServiceClass PolicyTable::service_class(std::uint8_t protocol,
                                        std::uint16_t service) const noexcept {
  const std::int8_t axis = axis_of_protocol_[protocol];
  return axis < 0 ? class_of_protocol_[protocol]
                  : axes_[static_cast<std::size_t>(axis)].class_of(service);
}

bool PolicyTable::allows(const PacketKey& key) const noexcept {
  const ServiceClass service = service_class(key.protocol, key.service);
  if ((any_source_[service / 64] >> (service % 64)) & 1u) return true;
  const std::uint32_t row = key.remote.family == Family::ipv4
                                ? ipv4_.row_of(static_cast<std::uint32_t>(key.remote.low))
                                : ipv6_.row_of(key.remote.value());
  return bit(row, service);
}

std::optional<RuleRef> PolicyTable::rule_of(const PacketKey& key) const noexcept {
  const ServiceClass service = service_class(key.protocol, key.service);
  for (const Cover& cover : covers_) {
    const bool serves = std::any_of(
        cover.services.begin(), cover.services.end(),
        [&](const auto& range) { return range.first <= service && service <= range.second; });
    if (!serves) continue;
    const bool near = cover.networks.empty() ||
                      std::any_of(cover.networks.begin(), cover.networks.end(),
                                  [&](const auto& range) { return range.contains(key.remote); });
    if (near) return cover.rule;
  }
  return std::nullopt;
}

std::size_t PolicyTable::size_bytes() const noexcept {
  std::size_t bytes = sizeof(*this) + any_source_.size() * 8 + verdicts_.size() * 8 +
                      ipv4_.starts.size() * 8 + ipv6_.starts.size() * 20;
  for (const ServiceAxis& axis : axes_) bytes += axis.starts.size() * 2;
  for (const Cover& cover : covers_)
    bytes +=
        sizeof(cover) + cover.services.size() * 8 + cover.networks.size() * sizeof(AddressRange);
  return bytes;
}

}  // namespace sluice::rules
