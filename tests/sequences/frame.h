// SPDX-License-Identifier: Apache-2.0
//
// Spoken packets as bytes, and as text.
#pragma once

#include <string>

#include "tests/oracle/flow_model.h"
#include "tests/packet_builder.h"

namespace sluice::sequences {

[[nodiscard]] tests::Bytes frame_of(const oracle::SpokenPacket& packet,
                                    const oracle::RightNumbers& numbers);
[[nodiscard]] std::string to_text(const oracle::SpokenPacket& packet);

}  // namespace sluice::sequences
