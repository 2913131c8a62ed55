// SPDX-License-Identifier: Apache-2.0
//
// A whole document made the node's state, in one change, and the state as such a document.
//
// What attach and detach ask of a load balancer holds here too: groups are attached and detached
// only while its status allows it (the one it has or the one the document gives: the two calls that
// would do the same could come in either order), its default group stays attached and stays the
// one recorded at its creation. Creating and deleting load balancers, and editing groups, is asked
// of no status, as by their own calls.
#pragma once

#include <span>
#include <string>

#include "control/service.h"

namespace sluice::control {

// `body`: a node document (rules/node_json.h); options of the change beside it are left out. The
// answer: {plan, ignored}. Nothing differs: it only answers.
// Errors: every problem with its place; invalid, or conflict where all is well-formed.
[[nodiscard]] rules::Result<Outcome> apply_document(const State& state, const rules::Json& body,
                                                    std::span<const std::string> zones);

// Applies to no change here, and makes an empty node like this one.
[[nodiscard]] rules::Json export_document(const State& state);

}  // namespace sluice::control
