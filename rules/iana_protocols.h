// SPDX-License-Identifier: Apache-2.0
//
// IP protocol numbers by name (IANA registry "Assigned Internet Protocol Numbers").
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice::rules {

// `name` in any case: "ESP", "gre", "ospf". Nothing for a name the registry does not have.
[[nodiscard]] std::optional<std::uint8_t> iana_protocol_number(std::string_view name);
// Empty where the registry has no name.
[[nodiscard]] std::string_view iana_protocol_name(std::uint8_t number);
[[nodiscard]] bool equals_ignoring_case(std::string_view a, std::string_view b);

}  // namespace sluice::rules
