// SPDX-License-Identifier: Apache-2.0
//
// What stands in a request's first line and in the headers that name sites: pure functions.
#pragma once

#include <string_view>

#include "control/http_message.h"

namespace sluice::control {

// Splits and decodes "path?query" into the request. False: it is not decodable.
[[nodiscard]] bool read_target(std::string_view target, HttpRequest& request);

// "name:port", "name", "[v6]:port": the name alone, without brackets.
[[nodiscard]] std::string_view host_name(std::string_view host);

// An IPv4 or IPv6 address.
[[nodiscard]] bool is_address(std::string_view name);

// localhost, 127.0.0.0/8 or ::1.
[[nodiscard]] bool is_loopback_name(std::string_view name);

}  // namespace sluice::control
