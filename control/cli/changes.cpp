// SPDX-License-Identifier: Apache-2.0
//
// Verbs on changes: those that await confirmation, the audit, the backup; and the options that
// every change takes.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "control/cli/cli.h"
#include "control/store_sqlite.h"

namespace sluice::control::cli {

void change_options(po::options_description& options) {
  options.add_options()("dry-run", "only tell what would change")(
      "confirm-within", po::value<std::string>()->value_name("SECONDS"),
      "roll the change back unless `sluicectl change confirm` comes in time");
}

void expiry_option(po::options_description& options) {
  options.add_options()("expires-in", po::value<std::string>()->value_name("SECONDS"),
                        "detach again by itself after so long, also after a restart");
}

Json with_change_options(const Call& call, Json body) {
  if (body.is_null()) body = Json::object();
  if (call.has("dry-run")) body["dry_run"] = true;
  if (call.has("confirm-within")) body["confirm_within"] = call.text("confirm-within");
  if (call.has("expires-in")) body["expires_in"] = call.text("expires-in");
  if (call.has("flows")) body["flows"] = call.text("flows");
  return body;
}

void remark_on_change(const Call& call, const Json& data) {
  if (data.contains("expires_at"))
    remark(call, fmt::format("It is detached again at {}.", field(data, "expires_at")));
  if (!data.contains("change_id")) return;
  remark(call, fmt::format("It rolls back at {} unless you run: sluicectl change confirm {}",
                           field(data, "confirm_by"), field(data, "change_id")));
}

std::string change_query(const Call& call) {
  std::string query;
  const Json given = with_change_options(call, Json::object());
  for (const auto& [name, value] : given.items())
    query += fmt::format("{}{}={}", query.empty() ? "?" : "&", name,
                         value.is_string() ? value.get<std::string>() : value.dump());
  return query;
}

namespace {

std::string rule_line(const Json& item) {
  const Json rule = item.value("rule", Json::object());
  const std::string network =
      field(rule, "network") == "manual"
          ? field(rule, "network_cidr") + " + " + field(rule, "network_size")
      : field(rule, "network") == "myNetwork" ? field(rule, "vpc_id")
                                              : field(rule, "network");
  return fmt::format("{}  {} {} {} {}  ({})", field(item, "load_balancer_name"),
                     field(item, "direction"), field(rule, "protocol_name"),
                     field(rule, "port_range"), network, field(item, "security_group_name"));
}

void print_rules(const Json& rules, const char* list, const char* total, char sign) {
  const Json items = rules.value(list, Json::array());
  for (const Json& item : items) print(printable(fmt::format("{} {}", sign, rule_line(item))));
  const auto count = rules.value(total, std::size_t{0});
  if (count > items.size()) print(fmt::format("{} … and {} more", sign, count - items.size()));
}

}  // namespace

void print_dry_run(const Json& data) {
  const Json rules = data.value("rules", Json::object());
  print_rules(rules, "begin", "begin_total", '+');
  print_rules(rules, "cease", "cease_total", '-');
  const Json unreachable = data.value("unreachable", Json::object());
  for (const Json& item : unreachable.value("listeners", Json::array()))
    print(printable(fmt::format("! {}: port {} would be reached by {}",
                                field(item, "load_balancer_name"), field(item, "port"),
                                field(item, "reached_by"))));
  for (const Json& item : unreachable.value("backends", Json::array()))
    print(printable(fmt::format("! {}: backend {} ({}:{}) would not be reached",
                                field(item, "load_balancer_name"), field(item, "backend_name"),
                                field(item, "backend_ip"), field(item, "backend_port"))));
  const Json flows = data.value("flows", Json::object());
  print(fmt::format("live connections: {} cut, {} kept, {} draining{}", field(flows, "cut"),
                    field(flows, "kept"), field(flows, "draining"),
                    flows.value("complete", true) ? "" : " so far, still counting"));
}

namespace {

void no_options(po::options_description&) {}

Outcome<int> list(Call& call) {
  const auto changes = request(call, "GET", "/changes/");
  if (!changes) return tl::unexpected(changes.error());
  if (call.json) {
    print_json({{"action", "list"}, {"items", *changes}});
    return kExitOk;
  }
  std::vector<std::vector<std::string>> rows;
  for (const Json& change : *changes) {
    std::string touches;
    for (const Json& name : change.value("touches", Json::array()))
      touches += (touches.empty() ? "" : ", ") + name.get<std::string>();
    rows.push_back({field(change, "id"), field(change, "confirm_by"), field(change, "actor"),
                    field(change, "what"), touches});
  }
  print_table({"ID", "CONFIRM BY", "BY", "CHANGE", "TOUCHES"}, rows);
  return kExitOk;
}

Outcome<int> decide(Call& call, const char* verb) {
  const std::string& id = call.words[0];
  if (id.find_first_not_of("0123456789") != std::string::npos)
    return fail(kExitUsage, fmt::format("\"{}\" is no id of a change", id),
                "sluicectl change list shows those that await confirmation");
  const auto envelope = request_whole(call, "POST", fmt::format("/changes/{}/{}/", id, verb));
  if (!envelope) return tl::unexpected(envelope.error());
  if (call.json) {
    print_json({{"action", verb}, {"change", (*envelope)["data"]}});
    return kExitOk;
  }
  remark(call, fmt::format("{} Enforced by {}.", field(*envelope, "message"),
                           enforced_by((*envelope)["data"])));
  return kExitOk;
}
Outcome<int> confirm_change(Call& call) {
  return decide(call, "confirm");
}
Outcome<int> roll_back_change(Call& call) {
  return decide(call, "rollback");
}

void audit_options(po::options_description& options) {
  options.add_options()("limit", po::value<std::string>()->value_name("N"),
                        "so many entries, to 1000 (default: the newest 100)")(
      "since", po::value<std::string>()->value_name("TIME"),
      "from that time on, such as 2026-01-31T09:30:00Z")(
      "after", po::value<std::string>()->value_name("ID"), "those after that entry");
}

Outcome<int> audit(Call& call) {
  std::string query;
  for (const char* name : {"limit", "since", "after"}) {
    const std::string value = call.text(name);
    if (value.find_first_not_of("0123456789TZ:.-") != std::string::npos)
      return fail(kExitUsage, fmt::format("--{} \"{}\" is not understood", name, value),
                  "sluicectl audit --help shows what it takes");
    if (!value.empty()) query += fmt::format("{}{}={}", query.empty() ? "?" : "&", name, value);
  }
  const auto entries = request(call, "GET", "/audit/" + query);
  if (!entries) return tl::unexpected(entries.error());
  if (call.json) {
    print_json({{"action", "audit"}, {"items", *entries}});
    return kExitOk;
  }
  std::vector<std::vector<std::string>> rows;
  for (const Json& entry : *entries) {
    std::string what;
    for (const Json& name : entry.value("touched", Json::array()))
      what += (what.empty() ? "" : ", ") + name.get<std::string>();
    if (field(entry, "result") != "done") what = field(entry, "message");
    rows.push_back({field(entry, "id"), field(entry, "time"), field(entry, "actor"),
                    field(entry, "cause"), field(entry, "method") + " " + field(entry, "path"),
                    field(entry, "result"), field(entry, "generation_after"), what});
  }
  print_table({"ID", "TIME", "BY", "CAUSE", "CHANGE", "RESULT", "GENERATION", "TOUCHED"}, rows);
  return kExitOk;
}

void backup_options(po::options_description& options) {
  options.add_options()(
      "state", po::value<std::string>()->value_name("PATH"),
      "read this state file instead, while no sluiced runs on it.\n"
      "To restore: stop sluiced; remove the -wal file beside its state file, if there is one; copy "
      "the backup in the state file's place; start sluiced")("force", "overwrite FILE");
}

// Whole or not at all: beside its place first, then renamed.
Outcome<int> write_file(const std::string& path, const std::string& bytes) {
  const auto failure = [&](int error) {
    return fail(kExitGeneral, fmt::format("{} cannot be written: {}", path, std::strerror(error)),
                "check the path, its permissions and the room on the disk");
  };
  const std::string part = path + ".part";
  const int file = ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return failure(errno);
  std::size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t count = ::write(file, bytes.data() + written, bytes.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) break;
    written += static_cast<std::size_t>(count);
  }
  const bool is_written = written == bytes.size() && ::fsync(file) == 0;
  const int error = errno;
  ::close(file);
  if (is_written && ::rename(part.c_str(), path.c_str()) == 0) return kExitOk;
  ::unlink(part.c_str());
  return failure(is_written ? errno : error);
}

Outcome<int> backup(Call& call) {
  const std::string& path = call.words[0];
  if (!call.has("force") && std::filesystem::exists(path))
    return fail(kExitUsage, fmt::format("{} is there already", path),
                "name another file, or add --force");
  std::string bytes;
  if (call.has("state")) {
    auto read = StoreSqlite::backup_of(call.text("state"));
    if (!read) return failure_of(read.error());
    bytes = std::move(*read);
  } else {
    auto fetched = fetch(call, "/backup/");
    if (!fetched) return tl::unexpected(fetched.error());
    bytes = std::move(*fetched);
  }
  if (const auto written = write_file(path, bytes); !written) return written;
  if (call.json) {
    print_json({{"action", "backup"}, {"backup", {{"file", path}, {"bytes", bytes.size()}}}});
  } else {
    remark(call, fmt::format("{} written: {} bytes.", path, bytes.size()));
  }
  return kExitOk;
}

}  // namespace

std::vector<Verb> change_verbs() {
  return {
      {"change list", "", "the changes that await confirmation", "change list", 0, 0, no_options,
       list},
      {"change confirm", "ID", "makes a change final that was made with --confirm-within",
       "change confirm 7", 1, 1, no_options, confirm_change},
      {"change rollback", "ID", "takes such a change back at once; what came after it stays",
       "change rollback 7", 1, 1, no_options, roll_back_change},
      {"audit", "", "who changed what, when, and what came of it", "audit --limit 20 --json", 0, 0,
       audit_options, audit},
      {"backup", "FILE", "the state of the node in one file, to restore it from",
       "backup /var/backups/sluice.db", 1, 1, backup_options, backup},
  };
}

}  // namespace sluice::control::cli
