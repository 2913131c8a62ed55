// SPDX-License-Identifier: Apache-2.0
//
// The store's rows as values.
#include <fmt/format.h>

#include "control/load_balancer.h"
#include "control/sqlite_connection.h"
#include "control/store_sqlite.h"
#include "control/stored_group.h"
#include "rules/json.h"

namespace sluice::control {
namespace {

using rules::ErrorCode;
using rules::fail;
using rules::Json;
using rules::Result;
using Row = SqliteConnection::Use;

Result<void> load_group(State& state, const Row& row) {
  const auto json = rules::parse_json(row.text(1));
  if (!json) return tl::unexpected(json.error());
  const auto id = static_cast<rules::GroupId>(row.number(0));
  auto group = stored_group_from_json(*json, id, state.node);
  if (!group) return tl::unexpected(group.error());
  state.node.groups[id] = std::make_shared<const rules::Group>(std::move(*group));
  return {};
}

Result<void> load_vpc(State& state, const Row& row) {
  const auto json = rules::parse_json(row.text(1));
  if (!json) return tl::unexpected(json.error());
  const auto id = static_cast<rules::VpcId>(row.number(0));
  auto vpc = stored_vpc_from_json(*json, id);
  if (!vpc) return tl::unexpected(vpc.error());
  state.node.vpcs[id] = std::make_shared<const rules::Vpc>(std::move(*vpc));
  return {};
}

Result<void> load_lb(State& state, const Row& row) {
  const auto json = rules::parse_json(row.text(1));
  if (!json) return tl::unexpected(json.error());
  auto lb = stored_lb_from_json(*json);
  if (!lb) return tl::unexpected(lb.error());
  lb->id = static_cast<rules::LbId>(row.number(0));
  state.node.load_balancers[lb->id] = std::make_shared<const rules::LoadBalancer>(std::move(*lb));
  return {};
}

Result<void> load_expiry(State& state, const Row& row) {
  const Attachment attachment{static_cast<rules::LbId>(row.number(0)),
                              static_cast<rules::GroupId>(row.number(1))};
  state.expiries[attachment] = row.number(2);
  return {};
}

Result<void> load_pending(State& state, const Row& row) {
  const auto json = rules::parse_json(row.text(1));
  if (!json) return tl::unexpected(json.error());
  auto pending = pending_from_json(*json, state.node);
  if (!pending) return tl::unexpected(pending.error());
  pending->id = static_cast<ChangeId>(row.number(0));
  state.pending[pending->id] = std::make_shared<const PendingChange>(std::move(*pending));
  return {};
}

Result<void> load_setting(State& state, const Row& row) {
  const std::string_view name = row.text(0);
  const std::int64_t value = row.number(1);
  if (name == "generation") state.generation = static_cast<std::uint64_t>(value);
  const auto id = static_cast<std::uint32_t>(value);
  if (name == "next_group") state.next_group = id;
  if (name == "next_rule") state.next_rule = id;
  if (name == "next_lb") state.next_lb = id;
  if (name == "next_vpc") state.next_vpc = id;
  if (name == "next_change") state.next_change = id;
  if (name == "account_default_group") state.node.account_default_group = id;
  return {};
}

AuditEntry audit_of(const Row& row) {
  AuditEntry entry;
  entry.id = static_cast<std::uint64_t>(row.number(0));
  entry.time = row.number(1);
  entry.actor = row.text(2);
  entry.cause = row.text(3);
  entry.method = row.text(4);
  entry.path = row.text(5);
  entry.body = row.text(6);
  entry.body_bytes = static_cast<std::uint64_t>(row.number(7));
  if (const auto touched = rules::parse_json(row.text(8)); touched && touched->is_array())
    for (const Json& name : *touched)
      if (name.is_string()) entry.touched.push_back(name.get<std::string>());
  entry.generation_before = static_cast<std::uint64_t>(row.number(9));
  entry.generation_after = static_cast<std::uint64_t>(row.number(10));
  entry.result = row.text(11);
  entry.message = row.text(12);
  entry.change = static_cast<ChangeId>(row.number(13));
  return entry;
}

}  // namespace

Result<std::optional<State>> StoreSqlite::load() {
  State state;
  using LoadRow = Result<void> (*)(State&, const Row&);
  // VPCs first: rules name them.
  constexpr std::pair<const char*, LoadRow> kTables[] = {
      {"SELECT id, body FROM vpc", load_vpc},
      {"SELECT id, body FROM security_group", load_group},
      {"SELECT id, body FROM load_balancer", load_lb},
      {"SELECT load_balancer, security_group, at FROM expiry", load_expiry},
      {"SELECT id, body FROM pending_change", load_pending},
      {"SELECT name, value FROM setting", load_setting}};
  for (const auto& [sql, load_row] : kTables) {
    const LoadRow visit = load_row;
    const auto done = connection_->each(sql, [&](const Row& row) { return visit(state, row); });
    if (done) continue;
    return fail(ErrorCode::storage, fmt::format("state file {} holds what cannot be read: {}",
                                                connection_->path(), done.error().message));
  }
  if (state.generation == 0) return std::nullopt;
  return state;
}

Result<std::vector<AuditEntry>> StoreSqlite::read_audit(const AuditQuery& query) {
  std::vector<AuditEntry> entries;
  const auto collect = [&](const Row& row) -> Result<void> {
    entries.push_back(audit_of(row));
    return {};
  };
  const auto limit = static_cast<std::int64_t>(query.limit);
  Result<void> read;
  if (query.after || query.since) {
    Row rows =
        connection_->use("SELECT * FROM audit WHERE id > ? AND time >= ? ORDER BY id LIMIT ?");
    rows.bind(static_cast<std::int64_t>(query.after.value_or(0)))
        .bind(query.since.value_or(0))
        .bind(limit);
    read = connection_->each_row(rows, collect);
  } else {
    Row rows = connection_->use(
        "SELECT * FROM (SELECT * FROM audit ORDER BY id DESC LIMIT ?) ORDER BY id");
    rows.bind(limit);
    read = connection_->each_row(rows, collect);
  }
  if (!read) return tl::unexpected(read.error());
  return entries;
}

}  // namespace sluice::control
