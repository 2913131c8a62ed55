// SPDX-License-Identifier: Apache-2.0
//
// Reads a scenario file into steps.
#pragma once

#include <string>

#include "rules/json.h"
#include "tests/packet_builder.h"

namespace sluice::tests {

// The frame that a packet step describes. Throws std::exception on a mistake in the file.
[[nodiscard]] Bytes frame_of(const rules::Json& step);

}  // namespace sluice::tests
