// SPDX-License-Identifier: Apache-2.0
//
// What was changed, or asked for and refused: by whom, when, and what came of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/state.h"
#include "rules/json.h"

namespace sluice::control {

// The newest entries are kept; older ones go as new ones come.
inline constexpr std::uint64_t kAuditEntriesKept = 100'000;
// Of a longer body the beginning is kept.
inline constexpr std::size_t kAuditBodyBytesMax = 2048;

// Where a change comes from. Of one that the node makes by itself the actor is "sluiced".
struct ChangeSource {
  std::string actor = "local";
  std::string_view cause = "request";  // or "expiry", "rollback", "reload"
  std::string method;
  std::string path;  // below the prefix
  std::string body;
};

struct AuditEntry {
  std::uint64_t id = 0;  // grows by one; given by the store
  UnixMs time = 0;
  std::string actor;
  std::string cause;
  std::string method;
  std::string path;
  std::string body;                  // to kAuditBodyBytesMax
  std::uint64_t body_bytes = 0;      // of all of it
  std::vector<std::string> touched;  // "security group 5"; empty: refused
  std::uint64_t generation_before = 0;
  std::uint64_t generation_after = 0;  // the same: refused
  std::string result;                  // "done", or the kind of refusal: "conflict", "invalid", …
  std::string message;                 // of a refusal
  ChangeId change = 0;                 // that awaits confirmation, or was confirmed or rolled back
  bool operator==(const AuditEntry&) const = default;
};

// Which entries: the newest `limit`, or from `since` or after id `after` on the oldest `limit`.
struct AuditQuery {
  std::size_t limit = 100;
  std::optional<UnixMs> since{};
  std::optional<std::uint64_t> after{};
};

[[nodiscard]] AuditEntry audit_entry(const ChangeSource& source, UnixMs now);
[[nodiscard]] rules::Json audit_to_json(const AuditEntry& entry);
[[nodiscard]] std::string_view to_string(rules::ErrorCode code);

}  // namespace sluice::control
