// SPDX-License-Identifier: Apache-2.0
//
// What the verbs of sluicectl share: the call at hand, failures with their exit codes, output.
#pragma once

#include <boost/program_options.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "rules/json.h"
#include "rules/printable.h"

namespace sluice::control::cli {

namespace po = boost::program_options;
using rules::Json;

// Exit codes, as the vendor's CLI has them.
inline constexpr int kExitOk = 0;
inline constexpr int kExitGeneral = 1;
inline constexpr int kExitUsage = 2;  // wrong usage or bad input
inline constexpr int kExitPermission = 3;
inline constexpr int kExitConfiguration = 4;
inline constexpr int kExitUnreachable = 5;
inline constexpr int kExitNotFound = 10;
inline constexpr int kExitConflict = 11;
inline constexpr int kExitCapacity = 12;

struct Failure {
  int exit_code = kExitGeneral;
  std::string error;
  std::vector<std::string> details;
  std::string next_step;
  std::vector<rules::Problem> problems = {};  // what the daemon refused, by field
};

template <class T>
using Outcome = tl::expected<T, Failure>;

[[nodiscard]] tl::unexpected<Failure> fail(int exit_code, std::string error,
                                           std::string next_step = {},
                                           std::vector<std::string> details = {});
// Problems as details; the exit code of the error's kind.
[[nodiscard]] tl::unexpected<Failure> failure_of(const rules::Error& error,
                                                 std::string next_step = {});

// One invocation.
struct Call {
  po::variables_map options;
  std::vector<std::string> words;  // positional arguments after the verb
  std::string api;                 // address of the daemon
  bool json = false;
  bool quiet = false;
  std::string if_match;  // of changes: the generation that they were made for; empty: any

  [[nodiscard]] bool has(const char* name) const { return options.contains(name); }
  [[nodiscard]] std::string text(const char* name) const;
  [[nodiscard]] std::vector<std::string> texts(const char* name) const;
};

struct Verb {
  std::string_view words;      // "security-group list"
  std::string_view arguments;  // "LB GROUP…"
  std::string_view summary;
  std::string_view example;
  std::size_t words_min = 0;
  std::size_t words_max = 0;
  void (*add_options)(po::options_description&);
  Outcome<int> (*run)(Call&);
};

// Requests to the daemon; `data` of a success. `body` null: none.
[[nodiscard]] Outcome<Json> request(const Call& call, std::string_view method,
                                    const std::string& path, const Json& body = nullptr);
// The same with the whole envelope, for its message and page counts.
[[nodiscard]] Outcome<Json> request_whole(const Call& call, std::string_view method,
                                          const std::string& path, const Json& body = nullptr);
// The bytes of an answer that is no envelope.
[[nodiscard]] Outcome<std::string> fetch(const Call& call, const std::string& path);
[[nodiscard]] Outcome<Json> list_all_lbs(const Call& call);

// An LB or a group by id or by name.
[[nodiscard]] Outcome<Json> find_lb(const Call& call, const std::string& id_or_name);
[[nodiscard]] Outcome<Json> find_group(const Call& call, const std::string& id_or_name);

// Asks on a terminal; needs --force elsewhere.
[[nodiscard]] Outcome<int> confirm(const Call& call, const std::string& question);

// A file's text, or standard input for "-".
[[nodiscard]] Outcome<std::string> read_text(const std::string& path);

// Data on stdout. Control characters of foreign text are shown, not obeyed.
void print(std::string_view text);
void print_json(const Json& json);
void print_table(const std::vector<std::string>& head,
                 const std::vector<std::vector<std::string>>& rows);
// A remark for people, on stderr, silenced by --quiet and --json.
void remark(const Call& call, std::string_view text);
using rules::printable;
// A member as text: strings without quotes, null as "".
[[nodiscard]] std::string field(const Json& json, const char* name);
// "generation 12 (compile 80 µs, store 350 µs, swap 4 µs)"
[[nodiscard]] std::string enforced_by(const Json& data);

// Options that every change takes, and an attach: --dry-run, --confirm-within, --expires-in.
void change_options(po::options_description& options);
void expiry_option(po::options_description& options);
// A change's body with what was given of these and of --flows; a change's query, where it has no
// body: empty or "?…".
[[nodiscard]] Json with_change_options(const Call& call, Json body);
[[nodiscard]] std::string change_query(const Call& call);
// When it ends by itself, how it is confirmed: where the change has such an end.
void remark_on_change(const Call& call, const Json& data);
// What the answer to a dry run tells.
void print_dry_run(const Json& data);

// The verbs, by family.
[[nodiscard]] std::vector<Verb> group_verbs();
[[nodiscard]] std::vector<Verb> lb_verbs();
[[nodiscard]] std::vector<Verb> node_verbs();    // stats, table, vpc
[[nodiscard]] std::vector<Verb> change_verbs();  // change, audit, backup
[[nodiscard]] std::vector<Verb> apply_verbs();   // apply, export
[[nodiscard]] Verb check_verb();
[[nodiscard]] Verb simulate_verb();
[[nodiscard]] Verb token_verb();

}  // namespace sluice::control::cli
