// SPDX-License-Identifier: Apache-2.0
//
// Rules -> PolicyTable: classes of services, then a sweep over the addresses.
#include <algorithm>
#include <map>
#include <unordered_map>

#include <fmt/format.h>

#include "rules/policy_table.h"

namespace sluice::rules {

namespace {

// A rule in terms of numbers: services [first, last] of one protocol, or of every protocol.
struct ServiceSpan {
  bool every_protocol = false;
  std::uint8_t protocol = 0;
  std::uint16_t first = 0;
  std::uint16_t last = 65535;
};

std::vector<ServiceSpan> with_ports(std::uint8_t protocol, const PortSet& ports) {
  std::vector<ServiceSpan> spans;
  for (const PortRange& range : ports.ranges)
    spans.push_back({false, protocol, range.first, range.last});
  return spans;
}

ServiceSpan with_type(std::uint8_t protocol, const Rule& rule) {
  if (!rule.icmp_type) return {false, protocol, 0, 65535};
  const unsigned first = (unsigned{*rule.icmp_type} << 8) | rule.icmp_code.value_or(0);
  const unsigned last = (unsigned{*rule.icmp_type} << 8) | rule.icmp_code.value_or(255);
  return {false, protocol, static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(last)};
}

std::vector<ServiceSpan> spans_of(const Rule& rule) {
  switch (rule.protocol.kind) {
    case ProtocolKind::all:
      return {{true, 0, 0, 65535}};
    case ProtocolKind::all_tcp:
    case ProtocolKind::custom_tcp:
      return with_ports(kProtocolTcp, rule.ports);
    case ProtocolKind::all_udp:
    case ProtocolKind::custom_udp:
      return with_ports(kProtocolUdp, rule.ports);
    case ProtocolKind::sctp:
      return with_ports(kProtocolSctp, rule.ports);
    case ProtocolKind::icmp:
      // With a type it means ICMPv4 alone: the numbers differ by family (SEMANTICS §2).
      if (rule.icmp_type) return {with_type(kProtocolIcmp, rule)};
      return {with_type(kProtocolIcmp, rule), with_type(kProtocolIcmpv6, rule)};
    case ProtocolKind::icmpv6:
      return {with_type(kProtocolIcmpv6, rule)};
    case ProtocolKind::number:
      return {{false, rule.protocol.number, 0, 65535}};
  }
  return {};
}

}  // namespace

class PolicyBuilder {
 public:
  PolicyBuilder(std::span<const std::shared_ptr<const Group>> groups, Direction direction,
                const std::map<VpcId, std::shared_ptr<const Vpc>>& vpcs)
      : groups_(groups), direction_(direction), vpcs_(vpcs) {}

  Result<std::shared_ptr<const PolicyTable>> build() {
    divide_services();
    if (auto covered = cover_rules(); !covered) return tl::unexpected(covered.error());
    open_any_source();
    sweep<std::uint32_t>(Family::ipv4, table_.ipv4_);
    sweep<Uint128>(Family::ipv6, table_.ipv6_);
    if (table_.verdicts_.size() * 8 > kVerdictBytesMax) return too_large();
    return std::make_shared<const PolicyTable>(std::move(table_));
  }

 private:
  template <class Visit>
  void each_rule(Visit visit) const {
    for (const auto& group : groups_)
      for (const Rule& rule : group->rules)
        if (rule.direction == direction_) visit(*group, rule);
  }

  // Every service number at which some rule begins or ends starts a class of its own.
  void divide_services() {
    std::map<std::uint8_t, std::vector<std::uint16_t>> starts;
    std::vector<bool> named(256, false);
    each_rule([&](const Group&, const Rule& rule) {
      for (const ServiceSpan& span : spans_of(rule)) {
        if (span.every_protocol) continue;
        named[span.protocol] = true;
        starts[span.protocol].push_back(span.first);
        if (span.last != 65535) {
          starts[span.protocol].push_back(static_cast<std::uint16_t>(span.last + 1));
        }
      }
    });
    ServiceClass next = 1;  // class 0: protocols that no rule names
    table_.axis_of_protocol_.fill(-1);
    for (std::size_t i = 0; i < kServiceProtocols.size(); ++i) {
      const std::uint8_t protocol = kServiceProtocols[i];
      std::vector<std::uint16_t>& axis = starts[protocol];
      axis.push_back(0);
      std::sort(axis.begin(), axis.end());
      axis.erase(std::unique(axis.begin(), axis.end()), axis.end());
      table_.axis_of_protocol_[protocol] = static_cast<std::int8_t>(i);
      table_.axes_[i] = {next, axis};
      next += static_cast<ServiceClass>(axis.size());
      named[protocol] = false;
    }
    for (std::size_t protocol = 0; protocol < 256; ++protocol)
      if (named[protocol]) table_.class_of_protocol_[protocol] = static_cast<std::uint16_t>(next++);
    classes_ = next;
    table_.row_words_ = (classes_ + 63) / 64;
  }

  [[nodiscard]] std::pair<ServiceClass, ServiceClass> classes_of(const ServiceSpan& span) const {
    if (span.every_protocol) return {0, classes_ - 1};
    return {table_.service_class(span.protocol, span.first),
            table_.service_class(span.protocol, span.last)};
  }

  Result<void> cover_rules() {
    std::optional<Error> error;
    each_rule([&](const Group& group, const Rule& rule) {
      PolicyTable::Cover cover{{group.id, rule.id}, {}, {}};
      for (const ServiceSpan& span : spans_of(rule)) cover.services.push_back(classes_of(span));
      if (rule.network.type == NetworkType::manual) {
        cover.networks.push_back(rule.network.range);
      } else if (rule.network.type == NetworkType::my_network) {
        const auto vpc = vpcs_.find(rule.network.vpc);
        if (vpc == vpcs_.end()) {
          error = Error{ErrorCode::invalid,
                        fmt::format("a rule of group {} names VPC {}, which does not exist",
                                    group.name, rule.network.vpc),
                        {}};
          return;
        }
        for (const Prefix& prefix : vpc->second->prefixes)
          cover.networks.push_back(range_of(prefix));
      }
      table_.covers_.push_back(std::move(cover));
    });
    if (error) return fail(*error);
    return {};
  }

  void open_any_source() {
    table_.any_source_.assign(table_.row_words_, 0);
    for (const auto& cover : table_.covers_) {
      if (!cover.networks.empty()) continue;
      for (const auto& [first, last] : cover.services)
        for (ServiceClass c = first; c <= last; ++c)
          table_.any_source_[c / 64] |= std::uint64_t{1} << (c % 64);
    }
  }

  // Walks the addresses from the lowest to the highest. At each, rules begin and end; `open_`
  // counts for each service class the rules that hold here. Equal rows are stored once.
  template <class Number>
  void sweep(Family family, AddressAxis<Number>& axis) {
    struct Edge {
      std::vector<std::size_t> begins, ends;  // indexes into covers_
    };
    std::map<Uint128, Edge> edges;
    edges[0];
    for (std::size_t i = 0; i < table_.covers_.size(); ++i) {
      for (const AddressRange& range : table_.covers_[i].networks) {
        if (range.first.family != family) continue;
        edges[range.first.value()].begins.push_back(i);
        if (range.last.value() != address_max(family))
          edges[range.last.value() + 1].ends.push_back(i);
      }
    }
    open_.assign(classes_, 0);
    std::vector<std::uint64_t> row(table_.row_words_, 0);
    for (const auto& [start, edge] : edges) {
      for (std::size_t i : edge.begins) count(i, +1, row);
      for (std::size_t i : edge.ends) count(i, -1, row);
      if (table_.verdicts_.size() * 8 > kVerdictBytesMax) return;  // refused by build()
      const std::uint32_t stored = store(row);
      if (!axis.rows.empty() && axis.rows.back() == stored) continue;
      axis.starts.push_back(static_cast<Number>(start));
      axis.rows.push_back(stored);
    }
  }

  void count(std::size_t cover, int step, std::vector<std::uint64_t>& row) {
    for (const auto& [first, last] : table_.covers_[cover].services) {
      for (ServiceClass c = first; c <= last; ++c) {
        open_[c] += step;
        const std::uint64_t mask = std::uint64_t{1} << (c % 64);
        row[c / 64] = open_[c] > 0 ? row[c / 64] | mask : row[c / 64] & ~mask;
      }
    }
  }

  std::uint32_t store(const std::vector<std::uint64_t>& row) {
    std::uint64_t hash = 0x9e3779b97f4a7c15u;
    for (std::uint64_t word : row) hash = (hash ^ word) * 0xff51afd7ed558ccdu + (hash >> 29);
    const auto [begin, end] = stored_.equal_range(hash);
    for (auto it = begin; it != end; ++it) {
      if (std::equal(row.begin(), row.end(),
                     table_.verdicts_.begin() +
                         static_cast<std::ptrdiff_t>(it->second * table_.row_words_)))
        return it->second;
    }
    const auto index = static_cast<std::uint32_t>(table_.verdicts_.size() / table_.row_words_);
    table_.verdicts_.insert(table_.verdicts_.end(), row.begin(), row.end());
    stored_.emplace(hash, index);
    return index;
  }

  [[nodiscard]] tl::unexpected<Error> too_large() const {
    std::string names;
    for (const auto& group : groups_) names += (names.empty() ? "" : ", ") + group->name;
    return fail(ErrorCode::capacity,
                fmt::format("the {} rules of {} together need more than {} MiB of table; use "
                            "fewer distinct networks or ports",
                            direction_ == Direction::inbound ? "inbound" : "outbound", names,
                            kVerdictBytesMax >> 20));
  }

  std::span<const std::shared_ptr<const Group>> groups_;
  Direction direction_;
  const std::map<VpcId, std::shared_ptr<const Vpc>>& vpcs_;
  PolicyTable table_;
  ServiceClass classes_ = 0;
  std::vector<int> open_;
  std::unordered_multimap<std::uint64_t, std::uint32_t> stored_;
};

Result<std::shared_ptr<const PolicyTable>> build_policy(
    std::span<const std::shared_ptr<const Group>> groups, Direction direction,
    const std::map<VpcId, std::shared_ptr<const Vpc>>& vpcs) {
  return PolicyBuilder(groups, direction, vpcs).build();
}

}  // namespace sluice::rules
