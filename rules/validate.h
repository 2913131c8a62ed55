// SPDX-License-Identifier: Apache-2.0
//
// The fields of a rule from the text an operator writes, each with the reason it is refused for.
#pragma once

#include <string>
#include <string_view>

#include "rules/model.h"

namespace sluice::rules {

inline constexpr std::size_t kPortItemsMax = 64;
inline constexpr std::size_t kNameLengthMax = 50;
inline constexpr std::size_t kDescriptionLengthMax = 1024;
inline constexpr std::size_t kRulesPerGroupMax = 100'000;

// "All", "443", "80-443", "8000:9000", "22,80,90:110"; spaces allowed; at most kPortItemsMax items.
[[nodiscard]] Result<PortSet> parse_ports(std::string_view text);
// Canonical: sorted, merged, "-" for ranges, "," between, "All" for the full range.
[[nodiscard]] std::string to_string(const PortSet& ports);

// Names in any case: All, All_TCP, Custom_UDP, ICMP, TCP, SCTP, IANA names, 0-255.
[[nodiscard]] Result<Protocol> parse_protocol(std::string_view text);
// The portal's spelling ("Custom_TCP"); the IANA name, else the number, for others.
[[nodiscard]] std::string to_string(const Protocol& protocol);

// Trimmed; 1-50 of [A-Za-z0-9_-].
[[nodiscard]] Result<std::string> parse_name(std::string_view text);

// "Running", "Backend Connection Failure", ...: the portal's spelling; parsed in any case.
[[nodiscard]] std::string_view to_string(LbStatus status);
[[nodiscard]] Result<LbStatus> parse_status(std::string_view text);
[[nodiscard]] std::string_view to_string(Direction direction);  // "Inbound", "Outbound"
// "public", "private", "vpc".
[[nodiscard]] std::string_view to_string(AddressKind kind);
[[nodiscard]] Result<AddressKind> parse_address_kind(std::string_view text);

// A group must hold at least one inbound and one outbound rule.
[[nodiscard]] std::vector<Problem> check_group(const Group& group, std::string_view where);

// Rules of `next` that come back with their id, or with equal content, keep the identity they have
// in `previous`; the others get ids from `next_id` on, which is advanced. Unknown ids are new
// rules.
void keep_identities(const Group* previous, Group& next, RuleId& next_id);

}  // namespace sluice::rules
