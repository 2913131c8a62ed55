// SPDX-License-Identifier: Apache-2.0
#include "tests/control/change_book.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

namespace sluice::tests {
namespace {

using control::AuditEntry;
using control::State;
using rules::Result;

constexpr std::size_t kStoryLines = 40;
constexpr unsigned kProbes = 200;

bool is_of_the_machine(const std::string& result) {
  return result == "storage" || result == "unavailable";
}

unsigned number_in(const std::string& text, const char* format) {
  unsigned number = 0;
  (void)std::sscanf(text.c_str(), format, &number);
  return number;
}

std::string result_of(const Result<control::Applied>& result) {
  if (result) return "done";
  return result.error().message == control::kStale
             ? std::string(control::kStale)
             : std::string(control::to_string(result.error().code));
}

// "refused" is a document's: invalid or conflict.
bool is_same_refusal(const std::string& expected, const std::string& found) {
  if (expected == "refused") return found == "invalid" || found == "conflict";
  return expected == found;
}

}  // namespace

void ChangeBook::tell(std::string line) {
  story_.push_back(std::move(line));
  if (story_.size() > kStoryLines) story_.pop_front();
}

std::string ChangeBook::story() const {
  std::string text;
  for (const std::string& line : story_) text += "  " + line + '\n';
  return text;
}

void ChangeBook::fail(const std::string& what) {
  if (!is_dead_)
    ADD_FAILURE() << "SLUICE_SEED=" << seed_ << ": " << what << "\nwhat came before:\n" << story();
  is_dead_ = true;  // one is enough
}

std::string ChangeBook::enter(const Ask& ask, unsigned& number) {
  const std::lock_guard lock(mutex_);
  number = ++last_ask_;
  asks_[number] = ask;
  return fmt::format("/ask/{}", number);
}

Ask ChangeBook::ask_of(unsigned number) {
  const std::lock_guard lock(mutex_);
  return asks_.at(number);
}

bool ChangeBook::open() {
  is_dead_ = false;
  expected_.clear();
  for (int tries = 0; tries < 2 && store_ == nullptr && !vfs_.is_dead(); ++tries)
    if (auto opened = control::StoreSqlite::open("state.db")) store_ = std::move(*opened);
  return store_ != nullptr;
}

// What is found is what was acknowledged, and of what was in flight all or nothing.
Result<std::optional<State>> ChangeBook::load() {
  auto loaded = store_->load();
  if (!loaded) return loaded;
  const auto audit = store_->read_audit({1'000'000, {}, {}});
  if (!audit) return tl::unexpected(audit.error());
  const ChangeTwin found = *loaded ? ChangeTwin::observed(**loaded) : ChangeTwin{};
  const std::string text = *loaded ? found.text() : "";
  std::uint64_t entries = entries_;
  if (in_flight_ && text == in_flight_->text() && audit->size() == entries_ + entries_lost_) {
    disk_ = *in_flight_;
    entries += entries_lost_;
    is_new_ = false;
    ++kept_in_flight;
  } else if (text != (is_new_ ? "" : disk_.text())) {
    fail("found:\n" + text + "acknowledged:\n" + (is_new_ ? "" : disk_.text()) +
         (in_flight_ ? "in flight:\n" + in_flight_->text() : ""));
  }
  if (audit->size() != entries)
    fail(fmt::format("{} entries in the audit, {} were written", audit->size(), entries));
  entries_ = entries;
  in_flight_.reset();
  entries_lost_ = 0;
  force_ = disk_;
  told_ = 0;
  return loaded;
}

void ChangeBook::note_death() {
  if (is_dead_ || !vfs_.is_dead()) return;
  is_dead_ = true;
  ++deaths;
}

Result<void> ChangeBook::commit(const State& before, const State& after,
                                std::span<const AuditEntry> audit) {
  ChangeTwin twin = force_;
  const bool is_for_force = before.generation != after.generation;
  if (before.generation == 0) {
    twin = ChangeTwin::first();
  } else if (is_for_force && audit.empty()) {
    tell(fmt::format("taken back: generation {}", force_.generation));
  }
  // What could not be made after all is recorded as that; what else was refused with it stays so.
  const bool is_withdrawal = expects_faults && !is_for_force &&
                             std::any_of(audit.begin(), audit.end(), [](const auto& entry) {
                               return is_of_the_machine(entry.result);
                             });
  for (const AuditEntry& entry : audit) follow(twin, entry, is_withdrawal);
  if (is_for_force && !audit.empty()) twin.generation = next_generation();
  if (twin.text() != ChangeTwin::observed(after).text())
    fail("the state is\n" + ChangeTwin::observed(after).text() + "and must be\n" + twin.text());
  const bool was_dead = vfs_.is_dead();
  auto stored = store_->commit(before, after, audit);
  if (stored) {
    if (is_for_force) disk_ = twin;
    told_ = std::max(told_, disk_.generation);
    if (is_for_force) is_new_ = false;
    entries_ += audit.size();
  } else if (!was_dead && vfs_.is_dead()) {
    in_flight_ = is_for_force ? twin : disk_;
    entries_lost_ = audit.size();
    ++deaths_in_commit;
  }
  // Each is then made by itself, in the state that it meets there.
  if (!stored && is_for_force)
    for (const AuditEntry& entry : audit) expected_.erase(number_in(entry.path, "/ask/%u"));
  if (!stored) tell("the store failed: " + stored.error().message);
  if (!stored && !expects_faults) fail("the store failed: " + stored.error().message);
  note_death();
  return stored;
}

void ChangeBook::follow(ChangeTwin& twin, const AuditEntry& entry, bool is_withdrawal) {
  tell(fmt::format("{} {} {}: {} {}", entry.time, entry.path, entry.body, entry.result,
                   entry.message));
  if (entry.cause == "request") return follow_request(twin, entry, is_withdrawal);
  if (entry.result != "done") {
    if (!is_of_the_machine(entry.result))
      fail("the node could not do what is due: " + entry.message);
    return;
  }
  ++by_the_node;
  if (entry.cause == "rollback") {
    if (!twin.roll_back_unconfirmed(number_in(entry.path, "/changes/%u/rollback"), entry.time))
      fail("a rollback that was not due, or leads to no sound node");
    return;
  }
  // Which one of the LB's: the path names the LB only.
  const unsigned lb = number_in(entry.path, "/security_group/%u/detach");
  for (const auto& [attachment, at] : twin.node.expiries) {
    const TwinAttachment own = attachment;
    const auto name = fmt::format("attachment of group {} to load balancer {}", own.second, lb);
    if (own.first != lb || at > entry.time || entry.touched != std::vector{name}) continue;
    if (!twin.end_attachment(own, entry.time)) fail("an end that was not due");
    return;
  }
  if (!entry.touched.empty()) fail("an attachment ended that was not due");
}

void ChangeBook::follow_request(ChangeTwin& twin, const AuditEntry& entry, bool is_withdrawal) {
  const unsigned number = number_in(entry.path, "/ask/%u");
  if (is_withdrawal) {
    if (is_of_the_machine(entry.result)) expected_[number].result = entry.result;
    return;
  }
  const Ask ask = ask_of(number);
  Expected& expected = expected_[number];
  expected = {twin.judge(ask, entry.time), entry.result, entry.generation_after};
  const std::string& refusal = expected.verdict.refusal;
  if (entry.result == "done") {
    if (!refusal.empty()) fail("was done, and is to be refused: " + refusal);
    if (ask.dry_run || expected.verdict.is_answer_only) fail("was done, and is to be tried only");
    if (entry.change != expected.verdict.change && ask.kind != AskKind::confirm &&
        ask.kind != AskKind::roll_back)
      fail("another change awaits confirmation");
    twin = expected.verdict.next;
    twin.generation = next_generation();
  } else if (!is_same_refusal(refusal, entry.result)) {
    fail("expected: " + (refusal.empty() ? "done" : refusal));
  }
}

void ChangeBook::watch(control::Publisher& publisher, FakeDataplane& plane) {
  publisher_ = &publisher;
  plane_ = &plane;
  publisher.observe([this](const control::Applied& applied) { in_force(applied.generation); });
}

void ChangeBook::in_force(std::uint64_t generation) {
  if (is_dead_) return;
  ++generations;
  force_ = disk_;
  if (generation != force_.generation || plane_->generation() != generation)
    fail(fmt::format("generation {} is said to be in force, {} is stored, {} enforced", generation,
                     force_.generation, plane_->generation()));
  if (ChangeTwin::observed(*publisher_->state()).text() != force_.text())
    fail("in force:\n" + ChangeTwin::observed(*publisher_->state()).text() + "stored:\n" +
         force_.text());
  check_table();
}

// The table that workers have says of packets what the twin says.
void ChangeBook::check_table() {
  const auto snapshot = plane_->current();
  const auto draw = [&](unsigned end) {
    return static_cast<unsigned>(oracle::below(random_, end));
  };
  for (unsigned i = 0; i < kProbes; ++i) {
    const ChangeTwin::Probe probe{draw(4) == 0 ? "second" : "edge",
                                  1 + draw(14),
                                  draw(6) == 0 ? 443 : 1000 + draw(kPortsAsked),
                                  draw(4) != 0,
                                  "mnx"[draw(3)],
                                  1 + draw(kManualsAsked)};
    const unsigned net = probe.remote == 'n' ? 10 + draw(kNetsAsked) : probe.net;
    ChangeTwin::Probe asked = probe;
    asked.net = net;
    const std::string remote = probe.remote == 'm'   ? fmt::format("172.16.{}.7", net)
                               : probe.remote == 'n' ? fmt::format("10.{}.0.7", net)
                                                     : "198.51.100.1";
    const auto local = rules::parse_address(fmt::format("10.0.0.{}", probe.address));
    const auto match = snapshot->table->find_lb(probe.zone == "edge" ? 0 : 1, *local);
    const rules::PacketKey key{
        *rules::parse_address(remote), match.policy, static_cast<std::uint16_t>(probe.port),
        rules::kProtocolTcp,
        probe.is_inbound ? rules::Direction::inbound : rules::Direction::outbound};
    const bool allows = match.lb != 0 && snapshot->table->allows(key);
    if (match.lb == force_.owner_of(asked) && allows == force_.allows(asked)) continue;
    return fail(fmt::format("{} {} port {} of 10.0.0.{} in {}: the table says LB {}, {}; state\n{}",
                            probe.is_inbound ? "from" : "to", remote, probe.port, probe.address,
                            probe.zone, match.lb, allows, force_.text()));
  }
}

void ChangeBook::answered(unsigned number, const Result<control::Applied>& result) {
  if (is_dead_) return;  // nobody hears it any more
  const Ask ask = ask_of(number);
  const std::string found = result_of(result);
  const auto expected = expected_.find(number);
  if (expected == expected_.end()) {
    check_tried(ask, result);
  } else if (found != expected->second.result) {
    fail(fmt::format("ask {} is answered {}, was {}", number, found, expected->second.result));
  } else if (result) {
    ++done;
    if (result->generation != expected->second.generation ||
        result->generation != force_.generation)
      fail(fmt::format("ask {} is acknowledged as generation {}, made as {}, in force is {}",
                       number, result->generation, expected->second.generation, force_.generation));
    if (result->changes > 1) ++shared;
    check_done(ask, expected->second.verdict, *result);
  } else {
    ++refused;
  }
  if (answers_left_ == 0 || --answers_left_ != 0) return;
  dies_by_power_ ? vfs_.cut_power() : vfs_.kill();
  note_death();
}

void ChangeBook::check_done(const Ask& ask, const Verdict& verdict,
                            const control::Applied& applied) {
  const char* id = applied.answer.contains("id") ? "id" : "vpc_id";
  if (verdict.made != 0 && applied.answer.value(id, 0u) != verdict.made)
    fail(fmt::format("made {}, and is answered {}", verdict.made, applied.answer.dump()));
  if (verdict.change != 0 && applied.answer.value("change_id", 0u) != verdict.change)
    fail(fmt::format("awaits confirmation as {}, and is answered {}", verdict.change,
                     applied.answer.dump()));
  const auto& flows = applied.flows;
  const auto& counted = ask.flows.fate == dataplane::FlowFate::cut    ? flows.cut
                        : ask.flows.fate == dataplane::FlowFate::keep ? flows.kept
                                                                      : flows.draining;
  if (counted == 0) fail("live flows met another fate than was asked for");
}

// Dry runs, and documents that change nothing: looked at, not recorded.
void ChangeBook::check_tried(const Ask& ask, const Result<control::Applied>& result) {
  ++dry_runs;
  const Verdict verdict = force_.judge(ask, 0);
  const std::string found = result_of(result);
  if (verdict.refusal.empty() ? found != "done" : !is_same_refusal(verdict.refusal, found))
    return fail(fmt::format("a dry run is answered {}, expected {}", found, verdict.refusal));
  if (!result) return;
  if (!result->is_dry_run || (!ask.dry_run && !verdict.is_answer_only))
    fail("a change came into force unrecorded");
  if (result->generation != force_.generation) fail("a dry run of another generation");
}

void ChangeBook::check_nothing_due(std::int64_t now) {
  if (!is_dead_ && force_.is_anything_due(now)) fail("is due and was not done:\n" + force_.text());
}

}  // namespace sluice::tests
