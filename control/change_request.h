// SPDX-License-Identifier: Apache-2.0
//
// A change as it is asked for, and what it comes to in the state it meets: pure, no clock, no
// store. The publisher runs it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "control/audit.h"
#include "control/change_options.h"
#include "control/service.h"

namespace sluice::control {

using Change = std::function<rules::Result<Outcome>(const State&)>;

inline constexpr std::size_t kPendingMax = 64;

// The message of the refusal (conflict) of a change whose if_match is of another generation.
inline constexpr std::string_view kStale = "stale";

struct ChangeRequest {
  Change change;
  ChangeOptions options{};
  std::vector<rules::Problem> problems{};  // of the options
  std::string if_match{};                  // a generation, with or without quotes; empty: any
  ChangeSource source{};
  bool is_automatic =
      false;  // made by the node: what awaits confirmation does not stand in its way
};

// What a change makes of a state.
struct Step {
  State next;  // its generation is the caller's to give
  rules::Json answer = rules::Json::object();
  dataplane::FlowsOnChange flows{};
  bool is_dry_run = false;
  std::vector<std::string> touched;
  ChangeId change = 0;  // that awaits confirmation from now on, or no longer
};

[[nodiscard]] bool is_stale(const std::string& if_match, std::uint64_t generation);

// `now` is when attachments that expire and changes to be confirmed count from; `generation` the
// one that the change would get. A change that throws (memory, a library) is refused: capacity.
[[nodiscard]] rules::Result<Step> evaluate(const ChangeRequest& request, const State& before,
                                           UnixMs now, std::uint64_t generation);

// What the node has to do by itself by now: attachments whose time is up, changes that nobody
// confirmed.
[[nodiscard]] std::vector<ChangeRequest> due_changes(const State& state, UnixMs now);
// When it next has to; nothing: nothing to come.
[[nodiscard]] std::optional<UnixMs> next_due(const State& state);

}  // namespace sluice::control
