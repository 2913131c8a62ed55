// SPDX-License-Identifier: Apache-2.0
//
// Reads the steps of a scenario file. TCP packets get the numbers that their connection has come
// to, so that a file need name only those that are wrong.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "rules/json.h"
#include "tests/packet_builder.h"

namespace sluice::tests {

class Conversations {
 public:
  // The frame that a packet step describes. Throws std::exception on a mistake in the file.
  [[nodiscard]] Bytes frame_of(const rules::Json& step);
  // The packet of the last frame arrived: its numbers count.
  void advance();

 private:
  PacketBuilder builder_of(const rules::Json& step);
  void number(PacketBuilder& packet, const rules::Json& step, const std::string& from,
              const std::string& to);
  std::map<std::string, std::uint32_t> next_;  // "A > B": the number that A sends next to B
  std::string last_;
  std::uint32_t last_next_ = 0;
};

}  // namespace sluice::tests
