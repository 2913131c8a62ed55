// SPDX-License-Identifier: Apache-2.0
//
// Time of day, for what must outlive the process: when a change ends or was made.
#pragma once

#include <cstdint>
#include <string>

namespace sluice::control {

using UnixMs = std::int64_t;  // milliseconds since 1970, UTC

[[nodiscard]] UnixMs unix_ms_now();
// "2026-01-31T09:30:00.250Z"
[[nodiscard]] std::string utc_text(UnixMs time);
// The same, or the digits of a UnixMs. Nothing: neither.
[[nodiscard]] bool parse_utc(const std::string& text, UnixMs& time);

}  // namespace sluice::control
