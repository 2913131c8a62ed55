// SPDX-License-Identifier: Apache-2.0
#include "control/reload.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <sstream>

#include "control/change_options.h"
#include "control/plan.h"
#include "control/service_apply.h"
#include "control/systemd.h"
#include "rules/printable.h"

namespace sluice::control {
namespace {

using rules::ErrorCode;
using rules::fail;
using rules::Json;
using rules::Problem;
using rules::Result;

struct File {
  std::string path;
  std::string text;
  Json json;
};

// The problems with their places in the file: "rules.json:3:12: security_groups[0].name: ...".
rules::Error placed(const File& file, const rules::Error& error) {
  std::vector<Problem> problems = error.problems;
  if (problems.empty()) problems.push_back({"", error.message});
  rules::Error out{error.code, {}, {}};
  for (const auto& [at, line, problem] : rules::place(file.text, std::move(problems))) {
    const std::string place = fmt::format("{}:{}", at.line, at.column);
    const bool is_field = !problem.where.empty() && problem.where != place;
    out.problems.push_back(
        {fmt::format("{}:{}", rules::printable(file.path), place),
         rules::printable(is_field ? fmt::format("{}: {}", problem.where, problem.message)
                                   : problem.message)});
  }
  out.message = fmt::format("{}: {} problem{}; the first is {}", rules::printable(file.path),
                            out.problems.size(), out.problems.size() == 1 ? "" : "s",
                            out.problems[0].message);
  return out;
}

Result<File> read_file(const std::string& path) {
  File file{path, "", {}};
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  if (!stream || !(text << stream.rdbuf()))
    return fail(rules::refusal({{path, "cannot be read, or is empty"}}));
  file.text = text.str();
  auto json = rules::parse_json(file.text);
  if (!json) return fail(placed(file, json.error()));
  file.json = std::move(*json);
  return file;
}

// As POST /apply/ with the file's text for its body. Options do not belong in a file.
Result<Outcome> apply_file(const State& state, const File& file,
                           const std::vector<std::string>& zones) {
  for (const char* name : kChangeOptions)
    if (file.json.is_object() && file.json.contains(name))
      return fail(placed(file, rules::refusal({{name, "is no part of a document"}})));
  auto outcome = apply_document(state, file.json, zones);
  if (!outcome) return fail(placed(file, outcome.error()));
  return outcome;
}

}  // namespace

Result<SystemRulesPtr> read_system_rules(const std::string& path,
                                         const rules::SystemRules* previous) {
  if (path.empty()) return SystemRulesPtr();
  const auto file = read_file(path);
  if (!file) return tl::unexpected(file.error());
  auto system = rules::system_rules_from_json(file->json, previous);
  if (!system) return fail(placed(*file, system.error()));
  return system;
}

namespace {

std::vector<std::string> lines_of(const rules::Error& error) {
  if (error.problems.empty()) return {error.message};
  std::vector<std::string> lines;
  for (const Problem& problem : error.problems)
    lines.push_back(problem.where.empty() ? problem.message
                                          : fmt::format("{}: {}", problem.where, problem.message));
  return lines;
}

std::string absolute(const std::string& path) {
  std::error_code ignored;
  return path.empty() ? path : std::filesystem::absolute(path, ignored).string();
}

}  // namespace

rules::Error with_all_problems(rules::Error error) {
  error.message = fmt::format("{}", fmt::join(lines_of(error), "\n"));
  return error;
}

Reloader::Reloader(Publisher& publisher, ReloadFiles files)
    : publisher_(publisher), files_{absolute(files.rules), absolute(files.system_rules)} {
  publisher_.note_reload(empty_report());
}

Json Reloader::empty_report() const {
  return {{"count", count_},
          {"pid", getpid()},
          {"ok", true},
          {"rules", files_.rules},
          {"system_rules", files_.system_rules},
          {"problems", Json::array()},
          {"plan", Json::array()},
          {"system_rules_changed", false},
          {"generation", publisher_.state()->generation}};
}

Result<Applied> Reloader::apply() {
  // Both files are read before either counts, so that the problems of both are known.
  const auto before = publisher_.state();
  auto system = read_system_rules(files_.system_rules, before->node.system_rules.get());
  Result<File> document = files_.rules.empty() ? File{} : read_file(files_.rules);
  rules::Error error;
  if (!system) error = system.error();
  if (!document) {
    const auto& more = document.error();
    if (error.problems.empty()) error = {more.code, more.message, {}};
    error.problems.insert(error.problems.end(), more.problems.begin(), more.problems.end());
  }
  if (!error.problems.empty()) return fail(std::move(error));

  std::promise<Result<Applied>> answer;
  ChangeRequest request{[&](const State& state) -> Result<Outcome> {
    Outcome outcome{state, {}};
    outcome.is_answer_only = true;
    if (!files_.rules.empty()) {
      auto applied = apply_file(state, *document, publisher_.zones());
      if (!applied) return applied;
      outcome = std::move(*applied);
    }
    const bool same = *system == nullptr ? state.node.system_rules == nullptr
                                         : state.node.system_rules != nullptr &&
                                               **system == *state.node.system_rules;
    if (!same) {
      outcome.next.node.system_rules = *system;
      outcome.is_answer_only = false;
    }
    outcome.answer["system_rules_changed"] = !same;
    return outcome;
  }};
  request.source = {"local", "reload", "RELOAD", files_.rules, ""};
  publisher_.submit(std::move(request),
                    [&](Result<Applied> applied) { answer.set_value(std::move(applied)); });
  return answer.get_future().get();
}

bool Reloader::reload() {
  ++count_;
  const auto applied = apply();
  report(applied);
  return applied.has_value();
}

void Reloader::report(const Result<Applied>& applied) {
  Json report = empty_report();
  report["ok"] = applied.has_value();
  if (!applied) {
    report["problems"] = lines_of(applied.error());
    for (const std::string& line : lines_of(applied.error())) spdlog::error("reload: {}", line);
    spdlog::error("reload refused: generation {} stays in force", publisher_.state()->generation);
  } else {
    report["plan"] = applied->answer.value("plan", Json::array());
    for (const PlanLine& line : plan_lines(report["plan"]))
      spdlog::info("reload: {} {}", line.mark, rules::printable(line.text));
    const bool system = applied->answer.value("system_rules_changed", false);
    if (system) spdlog::info("reload: ~ system rules");
    report["system_rules_changed"] = system;
    if (!system && report["plan"].empty()) {
      spdlog::info("reload: nothing to change, generation {}", applied->generation);
    } else {
      spdlog::info("reload: generation {} in force (compile {} us, store {} us, swap {} us)",
                   applied->generation, applied->compile_us, applied->store_us, applied->swap_us);
    }
  }
  publisher_.note_reload(std::move(report));
}

void Reloader::reload_and_tell() {
  notify_reloading();
  const bool ok = reload();
  notify_service_manager(
      fmt::format("READY=1\nSTATUS={} generation {}",
                  ok ? "Reloaded; enforcing" : "Reload refused, see the log; still enforcing",
                  publisher_.state()->generation));
}

}  // namespace sluice::control
