// SPDX-License-Identifier: Apache-2.0
//
// What an operator decides about the HTTP server, and its limits.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "control/role.h"

namespace sluice::control {

struct HttpOptions {
  std::string unix_group;        // that UNIX sockets belong to; empty: the daemon's
  Role unix_role = Role::admin;  // of that group's members
  std::string tokens_path;       // empty: no tokens
  std::string certificate_path;  // both or none
  std::string key_path;
  std::vector<std::string> hosts;  // names of this node, beside localhost and addresses
  bool insecure_loopback = false;  // who comes over loopback TCP is admin
  std::size_t connections_max = 1536;
  std::uint32_t requests_max = 5000;  // a second and peer; 0: any number
};

inline constexpr std::uint32_t kHeaderBytesMax = 16u << 10;
inline constexpr std::uint64_t kBodyBytesMax = 4u << 20;          // where a route says no more
inline constexpr std::uint64_t kBodiesBytesMax = 256u << 20;      // of all requests under way
inline constexpr std::uint64_t kRefusedBodyBytesMax = 64u << 10;  // read though refused
inline constexpr std::size_t kPeersMax = 4096;                    // whose requests are counted
inline constexpr std::chrono::seconds kHandshakeTime{10};         // of TLS
inline constexpr std::chrono::seconds kIdleTime{30};              // until a request's head is there
inline constexpr std::chrono::seconds kWriteTime{30};             // of an answer, or of events
inline constexpr std::chrono::seconds kLingerTime{2};
inline constexpr std::chrono::seconds kHeartbeatTime{15};  // between comments in an idle stream
inline constexpr std::uint64_t kBodyBytesPerSecond = 128u << 10;  // a slower body is cut off

}  // namespace sluice::control
