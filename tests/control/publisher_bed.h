// SPDX-License-Identifier: Apache-2.0
//
// A publisher over a store in memory and a data plane without packets.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <optional>

#include "control/publisher.h"
#include "tests/control/fake_dataplane.h"

namespace sluice::control {

// Remembers one state in memory; refuses when told to.
class MemoryStore final : public Store {
 public:
  rules::Result<std::optional<State>> load() override { return stored; }
  rules::Result<void> commit(const State& before, const State& after,
                             std::span<const AuditEntry> entries) override {
    if (fails || fails_after == 0)
      return rules::fail(rules::ErrorCode::storage, "the disk is full");
    if (fails_after > 0) --fails_after;
    if (stored) {
      EXPECT_EQ(stored->generation, before.generation);
    }
    if (after.generation != before.generation) stored = after;
    audit.insert(audit.end(), entries.begin(), entries.end());
    if (std::ssize(audit) > kAuditKept) audit.erase(audit.begin(), audit.end() - kAuditKept / 2);
    ++commits;
    return {};
  }
  rules::Result<std::vector<AuditEntry>> read_audit(const AuditQuery&) override { return audit; }
  rules::Result<std::string> backup() override { return ""; }
  static constexpr std::ptrdiff_t kAuditKept = 1000;
  std::optional<State> stored;
  std::vector<AuditEntry> audit;
  int commits = 0;
  std::atomic<bool> fails{false};
  std::atomic<int> fails_after{-1};  // so many commits; < 0: never
};

struct Bed {
  MemoryStore store;
  tests::FakeDataplane plane;
  Publisher publisher{store, plane, {}};

  Bed() { EXPECT_TRUE(publisher.start()); }
  rules::Result<Applied> change(Publisher::Change change) {
    return request(ChangeRequest{std::move(change)});
  }
  rules::Result<Applied> request(ChangeRequest request) {
    std::promise<rules::Result<Applied>> answer;
    publisher.submit(std::move(request),
                     [&](rules::Result<Applied> applied) { answer.set_value(std::move(applied)); });
    return answer.get_future().get();
  }
};

}  // namespace sluice::control
