// SPDX-License-Identifier: Apache-2.0
#include "control/audit.h"

namespace sluice::control {

AuditEntry audit_entry(const ChangeSource& source, UnixMs now) {
  AuditEntry entry;
  entry.time = now;
  entry.actor = source.actor;
  entry.cause = source.cause;
  entry.method = source.method;
  entry.path = source.path;
  entry.body = source.body.substr(0, kAuditBodyBytesMax);
  entry.body_bytes = source.body.size();
  return entry;
}

rules::Json audit_to_json(const AuditEntry& entry) {
  return {{"id", entry.id},
          {"time", utc_text(entry.time)},
          {"actor", entry.actor},
          {"cause", entry.cause},
          {"method", entry.method},
          {"path", entry.path},
          {"body", entry.body},
          {"body_bytes", entry.body_bytes},
          {"touched", entry.touched},
          {"generation_before", entry.generation_before},
          {"generation_after", entry.generation_after},
          {"result", entry.result},
          {"message", entry.message},
          {"change_id", entry.change == 0 ? rules::Json() : rules::Json(entry.change)}};
}

std::string_view to_string(rules::ErrorCode code) {
  switch (code) {
    case rules::ErrorCode::invalid:
      return "invalid";
    case rules::ErrorCode::forbidden:
      return "forbidden";
    case rules::ErrorCode::not_found:
      return "not_found";
    case rules::ErrorCode::conflict:
      return "conflict";
    case rules::ErrorCode::too_large:
      return "too_large";
    case rules::ErrorCode::capacity:
      return "capacity";
    case rules::ErrorCode::unavailable:
      return "unavailable";
    case rules::ErrorCode::storage:
      return "storage";
    case rules::ErrorCode::system:
      return "system";
  }
  return "unknown";
}

}  // namespace sluice::control
