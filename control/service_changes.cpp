// SPDX-License-Identifier: Apache-2.0
//
// Changes that await confirmation.
#include <fmt/format.h>

#include "control/service.h"
#include "control/undo.h"

namespace sluice::control {
namespace {

rules::Result<std::shared_ptr<const PendingChange>> find_pending(const State& state, ChangeId id) {
  const auto found = state.pending.find(id);
  if (found != state.pending.end()) return found->second;
  return rules::fail(
      rules::ErrorCode::not_found,
      fmt::format("There is no change {} that awaits confirmation: it was confirmed, "
                  "or rolled back, or never was.",
                  id));
}

}  // namespace

rules::Result<Outcome> confirm_change(const State& state, ChangeId id) {
  const auto pending = find_pending(state, id);
  if (!pending) return tl::unexpected(pending.error());
  Outcome outcome{state, {{"change_id", id}, {"what", (*pending)->what}}};
  outcome.next.pending.erase(id);
  outcome.change = id;
  return outcome;
}

rules::Result<Outcome> roll_back_change(const State& state, ChangeId id) {
  const auto pending = find_pending(state, id);
  if (!pending) return tl::unexpected(pending.error());
  auto next = undone((*pending)->undo, state);
  if (!next) return tl::unexpected(next.error());
  next->pending.erase(id);
  Outcome outcome{
      std::move(*next),
      {{"change_id", id}, {"what", (*pending)->what}, {"restored", touched((*pending)->undo)}}};
  outcome.change = id;
  return outcome;
}

}  // namespace sluice::control
