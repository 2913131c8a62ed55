// SPDX-License-Identifier: Apache-2.0
//
// The store's schema, version by version.
#pragma once

#include <array>

namespace sluice::control {

inline constexpr int kStoreApplicationId = 0x534c5543;  // "SLUC"

// Step n takes the schema from version n to n + 1. Steps are only ever added.
inline constexpr std::array<const char*, 2> kStoreMigrations{
    "CREATE TABLE security_group (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;"
    "CREATE TABLE load_balancer (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;"
    "CREATE TABLE vpc (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;"
    "CREATE TABLE setting (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;",

    // Times are milliseconds since 1970, UTC.
    "CREATE TABLE expiry (load_balancer INTEGER NOT NULL, security_group INTEGER NOT NULL,"
    " at INTEGER NOT NULL, PRIMARY KEY (load_balancer, security_group)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE pending_change (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;"
    "CREATE TABLE audit (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, actor TEXT NOT NULL,"
    " cause TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, body TEXT NOT NULL,"
    " body_bytes INTEGER NOT NULL, touched TEXT NOT NULL, generation_before INTEGER NOT NULL,"
    " generation_after INTEGER NOT NULL, result TEXT NOT NULL, message TEXT NOT NULL,"
    " change INTEGER NOT NULL) STRICT;"
    // Append-only, also for a hand with a SQL shell. The id check keeps INSERT OR REPLACE out,
    // which deletes without asking the trigger for it; the 100000 newest stay (kAuditEntriesKept).
    "CREATE TRIGGER audit_grows_at_its_end BEFORE INSERT ON audit"
    " WHEN NEW.id <= (SELECT max(id) FROM audit)"
    " BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;"
    "CREATE TRIGGER audit_is_not_rewritten BEFORE UPDATE ON audit"
    " BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;"
    "CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit"
    " WHEN OLD.id > (SELECT max(id) FROM audit) - 100000"
    " BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;",
};

}  // namespace sluice::control
