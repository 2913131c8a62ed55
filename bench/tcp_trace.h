// SPDX-License-Identifier: Apache-2.0
//
// Real TCP connections between clients and one load balancer with 1,000 rules, as frames of 64
// bytes (60 without FCS) in memory: handshakes, then data both ways, right numbers and checksums.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "bench/huge_memory.h"
#include "dataplane/pipeline.h"

namespace sluice::bench {

inline constexpr std::size_t kFrameBytes = 64;  // room of one frame; 60 are used
inline constexpr std::uint32_t kLb = 0x0a00000a, kClients = 0x0b000000;  // kClients: the first

struct TcpEnds {
  std::uint32_t source, destination;  // IPv4
  std::uint16_t source_port, destination_port;
};
// One segment, 6 bytes of data if `flags` has PSH, as a frame of 60 bytes.
void write_tcp(const TcpEnds& ends, std::uint8_t flags, std::uint32_t seq, std::uint32_t ack,
               std::uint8_t* frame);

// One LB, kLb, and its group. Clients stand in a thousand networks, each allowed by a rule of its
// own. `all_outbound`: as the default group has it, everything may go out; else replies to clients
// pass by their flows alone.
[[nodiscard]] rules::Node thousand_rules_node(bool all_outbound = false);
[[nodiscard]] std::shared_ptr<const dataplane::Snapshot> thousand_rules(
    dataplane::Settings settings, bool all_outbound = false, std::uint64_t generation = 1);

// Frames in bursts of kBurstMax, from outside and inside in turn.
class TcpTrace {
 public:
  // `packets`: a multiple of 2 * kBurstMax; connections are met in random order.
  TcpTrace(std::uint32_t connections, std::size_t packets);

  [[nodiscard]] std::size_t bursts() const { return packets_ / dataplane::kBurstMax; }
  [[nodiscard]] static dataplane::Side side_of(std::size_t burst) {
    return burst % 2 == 0 ? dataplane::Side::outside : dataplane::Side::inside;
  }
  void burst(std::size_t index, std::array<dataplane::Frame, dataplane::kBurstMax>& frames) const;
  // Rewrites all frames to what the connections send next.
  void go_on();

  // The frame of a connection's handshake: 0 SYN, 1 SYN-ACK, 2 ACK.
  void handshake(std::uint32_t connection, int step, std::uint8_t* frame) const;

 private:
  struct Connection {
    std::uint32_t sent[2] = {1001, 2001};  // next number of client and LB
  };
  void write(std::uint32_t connection, bool from_client, std::uint8_t flags, std::uint32_t seq,
             std::uint32_t ack, std::uint8_t* frame) const;

  std::size_t packets_;
  HugeMemory frames_;
  std::vector<std::uint32_t> order_;
  std::vector<Connection> connections_;
};

}  // namespace sluice::bench
