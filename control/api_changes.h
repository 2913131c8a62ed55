// SPDX-License-Identifier: Apache-2.0
//
// Changes through the API, on their way to the publisher and back.
#pragma once

#include "control/api_route.h"

namespace sluice::control {

// Answers when the change is enforced, or refused.
void submit_change(const Call& call, const Route& route, Respond respond);

// A change that cannot be read goes the same way, to be refused and recorded where the others are.
void submit_refused(const HttpRequest& http, Publisher& publisher, const rules::Error& error,
                    Respond respond);

}  // namespace sluice::control
