// SPDX-License-Identifier: Apache-2.0
//
// What a request must pass before its body is read: host, rate, identity, origin, kind of body, and
// what the routes say.
#pragma once

#include "control/http_context.h"

namespace sluice::control {

// Completes the request with its identity and id. The refusal, or how long its body may be.
[[nodiscard]] HttpAdmission admit(HttpContext& context, const HttpPeer& peer,
                                  const Identity& unix_identity, HttpRequest& request);

}  // namespace sluice::control
