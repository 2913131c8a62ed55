// SPDX-License-Identifier: Apache-2.0
//
// A random sequence of changes, played again for every operation on the disk and every way in which
// it can fail there: no acknowledged change is lost, no refused one is there in part, and the store
// opens again by itself.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <set>

#include "control/store_sqlite.h"
#include "tests/control/memory_vfs.h"
#include "tests/control/random_change.h"

namespace sluice::control {
namespace {

using tests::Fault;
using tests::MemoryVfs;

constexpr int kChanges = 24;
constexpr int kReopenEvery = 8;

// What the clients of the store know.
struct Model {
  State acknowledged;
  std::uint64_t entries = 0;       // of the audit, acknowledged
  std::optional<State> in_flight;  // neither acknowledged nor refused
};

class Play {
 public:
  Play(MemoryVfs& vfs, std::uint64_t seed) : vfs_(vfs), random_(seed) {}

  Model run() {
    for (int i = 0; i < kChanges && !vfs_.is_dead(); ++i) {
      if (i % kReopenEvery == 0) reopen();
      if (store_ != nullptr && !vfs_.is_dead()) change();
    }
    store_.reset();
    return model_;
  }

 private:
  void reopen() {
    store_.reset();
    for (int tries = 0; tries < 2 && store_ == nullptr && !vfs_.is_dead(); ++tries) {
      auto opened = StoreSqlite::open("state.db");
      if (opened) store_ = std::move(*opened);
      if (!opened) {
        EXPECT_EQ(opened.error().message.find("set aside"), std::string::npos);
      }
    }
    EXPECT_TRUE(store_ != nullptr || vfs_.is_dead()) << "one fault, and the store stays shut";
    if (store_ == nullptr || model_.acknowledged.generation != 0) return;
    State first = first_state();
    first.generation = 1;
    commit(first, {});
  }

  void change() {
    const State& before = model_.acknowledged;
    const ChangeRequest request = tests::random_request(random_);
    AuditEntry entry = audit_entry(request.source, 1);
    auto step = evaluate(request, before, 1000, before.generation + 1);
    State next = step ? std::move(step->next) : before;
    if (step) next.generation = before.generation + 1;
    entry.result = step ? "done" : "refused";
    commit(std::move(next), {entry});
  }

  void commit(State next, std::vector<AuditEntry> audit) {
    if (store_->commit(model_.acknowledged, next, audit)) {
      model_.acknowledged = std::move(next);
      model_.entries += audit.size();
    } else if (vfs_.is_dead()) {
      model_.in_flight = std::move(next);
    }
  }

  MemoryVfs& vfs_;
  oracle::Random random_;
  std::unique_ptr<StoreSqlite> store_;
  Model model_;
};

void expect_kept(const Model& model, const std::string& what) {
  auto store = StoreSqlite::open("state.db");
  ASSERT_TRUE(store) << what << ": " << store.error().message;
  const auto loaded = (*store)->load();
  ASSERT_TRUE(loaded) << what << ": " << loaded.error().message;
  const std::string found = *loaded ? tests::text_of(**loaded) : tests::text_of(State{});
  const std::string kept = tests::text_of(model.acknowledged);
  const bool is_kept = found == kept;
  const bool is_in_flight = model.in_flight && found == tests::text_of(*model.in_flight);
  ASSERT_TRUE(is_kept || is_in_flight) << what << "\nfound " << found << "\nkept  " << kept;
  const auto audit = (*store)->read_audit({1000, {}, {}});
  ASSERT_TRUE(audit) << what;
  ASSERT_GE(audit->size(), model.entries) << what;
  ASSERT_LE(audit->size(), model.entries + (model.in_flight ? 1 : 0)) << what;
}

TEST(CrashPoints, LoseNothingAcknowledgedAndKeepNothingRefused) {
  const char* given = std::getenv("SLUICE_SEED");
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::uint64_t operations = 0;
  {
    MemoryVfs vfs(seed);
    const Model model = Play(vfs, seed).run();
    operations = vfs.operations();
    ASSERT_GT(model.acknowledged.generation, 5u);
  }
  std::uint64_t points = 0;
  for (const Fault fault :
       {Fault::io_error, Fault::full, Fault::torn_write, Fault::killed, Fault::power_lost}) {
    for (std::uint64_t n = 1; n <= operations; ++n, ++points) {
      MemoryVfs vfs(seed + n);
      vfs.fail_at(n, fault);
      const Model model = Play(vfs, seed).run();
      vfs.reboot();
      expect_kept(model, "seed " + std::to_string(seed) + ", fault " +
                             std::to_string(static_cast<int>(fault)) + " at operation " +
                             std::to_string(n));
      if (HasFatalFailure() || HasNonfatalFailure()) return;
    }
  }
  std::printf("seed %llu: %llu crash points\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(points));
}

}  // namespace
}  // namespace sluice::control
