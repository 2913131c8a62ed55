// SPDX-License-Identifier: Apache-2.0
//
// Requests to the API that are right or nearly: of what clients send, with other values, other
// bytes, other lengths.
#pragma once

#include <set>
#include <string>

#include "tests/oracle/random.h"

namespace sluice::tests {

// As bytes, with "Connection: close". They name groups, VPCs and load balancers below 9. `without`:
// targets that are left out, as "/apply/".
[[nodiscard]] std::string odd_request(oracle::Random& random,
                                      const std::set<std::string>& without = {});

}  // namespace sluice::tests
