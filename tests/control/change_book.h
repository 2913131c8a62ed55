// SPDX-License-Identifier: Apache-2.0
//
// Keeps the twin beside a publisher: stands between it and its store, so that it sees every change
// in the order in which it is made, those that the node makes by itself too, and holds each against
// the twin; and knows, when the node dies, what may be found on its disk.
//
// Owner: the publisher's thread, while that runs; enter() and is_dead() any thread.
#pragma once

#include <atomic>
#include <deque>
#include <mutex>
#include <optional>

#include "control/publisher.h"
#include "control/store_sqlite.h"
#include "tests/control/change_twin.h"
#include "tests/control/fake_dataplane.h"
#include "tests/control/memory_vfs.h"

namespace sluice::tests {

class ChangeBook final : public control::Store {
 public:
  ChangeBook(MemoryVfs& vfs, std::uint64_t seed) : vfs_(vfs), seed_(seed), random_(seed) {}

  // A life of the node begins, on what the one before left. False: the disk failed.
  [[nodiscard]] bool open();
  // Everything that was open is closed.
  void close() { store_.reset(); }
  void watch(control::Publisher& publisher, FakeDataplane& plane);
  // After so many answers the process, or the power, ends.
  void die_after(unsigned answers, bool by_power) {
    answers_left_ = answers;
    dies_by_power_ = by_power;
  }
  [[nodiscard]] bool is_dead() const { return is_dead_; }

  // What a client is about to ask; the number stands in the request's path.
  [[nodiscard]] std::string enter(const Ask& ask, unsigned& number);
  void answered(unsigned number, const rules::Result<control::Applied>& result);
  // Nothing waits any more and the clock stands still.
  void check_nothing_due(std::int64_t now);

  rules::Result<std::optional<control::State>> load() override;
  rules::Result<void> commit(const control::State& before, const control::State& after,
                             std::span<const control::AuditEntry> audit) override;
  rules::Result<std::vector<control::AuditEntry>> read_audit(
      const control::AuditQuery& query) override {
    return store_->read_audit(query);
  }
  rules::Result<std::string> backup() override { return store_->backup(); }

  bool expects_faults = false;  // of the disk or a worker, in this life
  // What was seen.
  unsigned done = 0, refused = 0, by_the_node = 0, dry_runs = 0, generations = 0, shared = 0;
  unsigned deaths = 0, deaths_in_commit = 0, kept_in_flight = 0;
  // The end of the story, for who has to find out what went wrong.
  [[nodiscard]] std::string story() const;

 private:
  struct Expected {
    Verdict verdict;
    std::string result;  // "done", or a refusal, also one of the disk or a worker
    std::uint64_t generation = 0;
  };
  [[nodiscard]] Ask ask_of(unsigned number);
  void follow(ChangeTwin& twin, const control::AuditEntry& entry, bool is_withdrawal);
  void follow_request(ChangeTwin& twin, const control::AuditEntry& entry, bool is_withdrawal);
  void in_force(std::uint64_t generation);
  [[nodiscard]] std::uint64_t next_generation() const {
    return std::max(force_.generation, told_) + 1;
  }
  void check_table();
  void check_done(const Ask& ask, const Verdict& verdict, const control::Applied& applied);
  void check_tried(const Ask& ask, const rules::Result<control::Applied>& result);
  void note_death();
  void tell(std::string line);
  void fail(const std::string& what);

  MemoryVfs& vfs_;
  const std::uint64_t seed_;
  oracle::Random random_;
  std::unique_ptr<control::StoreSqlite> store_;
  control::Publisher* publisher_ = nullptr;
  FakeDataplane* plane_ = nullptr;

  std::mutex mutex_;  // guards what follows
  std::map<unsigned, Ask> asks_;
  unsigned last_ask_ = 0;

  std::map<unsigned, Expected> expected_;
  bool is_new_ = true;              // nothing was ever stored
  ChangeTwin disk_;                 // what the store holds
  ChangeTwin force_;                // what workers enforce
  std::uint64_t told_ = 0;          // newest generation that workers of this life may have seen
  std::uint64_t entries_ = 0;       // of the audit
  std::uint64_t entries_lost_ = 0;  // in flight when it died
  std::optional<ChangeTwin> in_flight_;
  unsigned answers_left_ = 0;
  bool dies_by_power_ = false;
  std::atomic<bool> is_dead_{false};
  std::deque<std::string> story_;
};

}  // namespace sluice::tests
