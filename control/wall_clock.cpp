// SPDX-License-Identifier: Apache-2.0
#include "control/wall_clock.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <ctime>

namespace sluice::control {

UnixMs unix_ms_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

std::string utc_text(UnixMs time) {
  const std::time_t seconds = static_cast<std::time_t>(time / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     time % 1000);
}

bool parse_utc(const std::string& text, UnixMs& time) {
  const char* end = text.data() + text.size();
  if (const auto [stop, error] = std::from_chars(text.data(), end, time);
      stop == end && error == std::errc{} && time >= 0)
    return true;
  std::tm parts{};
  const char* rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return false;
  int ms = 0, used = 0;
  if (*rest == '.' && std::sscanf(rest, ".%3d%n", &ms, &used) == 1) rest += used;
  if (std::string_view(rest) != "Z") return false;
  time = static_cast<UnixMs>(timegm(&parts)) * 1000 + ms;
  return time >= 0;
}

}  // namespace sluice::control
