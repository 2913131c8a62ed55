// SPDX-License-Identifier: Apache-2.0
//
// One policy in one direction: the immutable structure that answers "is this packet allowed?".
// How it works, and why its cost hardly depends on the number of rules: see rules/table.h.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "rules/packet_key.h"

namespace sluice::rules {

// Where a service (protocol, port or type) stands among the services a policy tells apart.
using ServiceClass = std::uint32_t;

// Protocols whose packets carry a service number of their own; all others are told apart by
// protocol number alone.
inline constexpr std::array<std::uint8_t, 5> kServiceProtocols{
    kProtocolIcmp, kProtocolTcp, kProtocolUdp, kProtocolIcmpv6, kProtocolSctp};

// service number -> class, for one protocol: classes first_class, first_class + 1, … begin at the
// numbers in `starts` (starts[0] == 0).
struct ServiceAxis {
  ServiceClass first_class = 0;
  std::vector<std::uint16_t> starts;
  [[nodiscard]] ServiceClass class_of(std::uint16_t service) const noexcept;
};

// remote address -> row of the verdict matrix: rows[i] holds from starts[i] to before the next.
template <class Number>
struct AddressAxis {
  std::vector<Number> starts;
  std::vector<std::uint32_t> rows;
  [[nodiscard]] std::uint32_t row_of(Number address) const noexcept;
};

class PolicyTable {
 public:
  [[nodiscard]] bool allows(const PacketKey& key) const noexcept;
  [[nodiscard]] std::optional<RuleRef> rule_of(const PacketKey& key) const noexcept;
  [[nodiscard]] std::size_t size_bytes() const noexcept;

  [[nodiscard]] ServiceClass service_class(std::uint8_t protocol,
                                           std::uint16_t service) const noexcept;

 private:
  friend class PolicyBuilder;

  // What one rule covers, in the order in which rules are asked who allowed a packet.
  struct Cover {
    RuleRef rule;
    std::vector<std::pair<ServiceClass, ServiceClass>> services;  // first, last
    std::vector<AddressRange> networks;                           // empty: any
  };

  [[nodiscard]] bool bit(std::uint32_t row, ServiceClass service) const noexcept {
    const std::size_t at = row * row_words_ + service / 64;
    return (verdicts_[at] >> (service % 64)) & 1u;
  }

  std::array<std::int8_t, 256> axis_of_protocol_{};     // index into axes_, or -1
  std::array<std::uint16_t, 256> class_of_protocol_{};  // where there is no axis
  std::array<ServiceAxis, kServiceProtocols.size()> axes_{};
  std::vector<std::uint64_t> any_source_;  // bit per class: open to every address
  AddressAxis<std::uint32_t> ipv4_;
  AddressAxis<Uint128> ipv6_;
  std::size_t row_words_ = 0;
  std::vector<std::uint64_t> verdicts_;  // rows of row_words_ words, a bit per class
  std::vector<Cover> covers_;
};

// The largest verdict matrix a policy may need, in bytes; beyond it the rules are refused.
inline constexpr std::size_t kVerdictBytesMax = 256u << 20;

// One group as compiled: its rules, with VPCs resolved by `vpcs`.
// Errors: invalid (a rule names a VPC that is not there), capacity (kVerdictBytesMax).
[[nodiscard]] Result<std::shared_ptr<const PolicyTable>> build_policy(
    std::span<const std::shared_ptr<const Group>> groups, Direction direction,
    const std::map<VpcId, std::shared_ptr<const Vpc>>& vpcs);

}  // namespace sluice::rules
