// SPDX-License-Identifier: Apache-2.0
//
// Packet captures of Ethernet, read whole and written.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataplane/flow_table.h"
#include "dataplane/packet.h"
#include "rules/result.h"

namespace sluice::dataplane::offline {

// One packet of a capture.
struct Input {
  TimeNs time_ns = 0;
  Side side = Side::outside;
  std::vector<std::uint8_t> bytes;
};

// pcap and pcapng files with Ethernet frames, `side` for all of them.
// Errors: invalid (no capture, another link type, a frame that was cut when it was captured).
[[nodiscard]] rules::Result<std::vector<Input>> read_pcap(const std::string& path, Side side);

// Nanosecond pcap of Ethernet.
class PcapWriter {
 public:
  [[nodiscard]] static rules::Result<PcapWriter> open(const std::string& path);
  void write(TimeNs time_ns, std::span<const std::uint8_t> frame);
  // Writes what is buffered. Error: system (a full disk).
  [[nodiscard]] rules::Result<void> close();

 private:
  struct Parts;
  struct Delete {
    void operator()(Parts* parts) const;
  };
  explicit PcapWriter(std::unique_ptr<Parts, Delete> parts);
  std::unique_ptr<Parts, Delete> parts_;
};

}  // namespace sluice::dataplane::offline
