// SPDX-License-Identifier: Apache-2.0
#include "bench/testpmd_peer.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace sluice::bench {
namespace {

std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return text;
  std::array<char, 4096> chunk;
  std::size_t size = 0;
  while ((size = std::fread(chunk.data(), 1, chunk.size(), pipe)) > 0)
    text.append(chunk.data(), size);
  return ::pclose(pipe) == 0 ? text : "";
}

}  // namespace

std::optional<double> testpmd_packets_per_s(const std::string& outside, const std::string& inside,
                                            unsigned bursts) {
  // The second look at the counters tells the rate since the first.
  const std::string talk = fmt::format(
      "sleep 1; echo '{}'; sleep 0.5; echo show port stats all; sleep 1;"
      " echo show port stats all; sleep 0.1; echo stop; echo quit",
      bursts == 0 ? "start" : fmt::format("start tx_first {}", bursts));
  const std::string command = fmt::format(
      "({}) | timeout 60 dpdk-testpmd --in-memory --no-pci --no-telemetry -l 0,1 '--log-level=*:4'"
      " '--vdev={}' '--vdev={}' -- -i --nb-cores=1 --burst=32 --forward-mode=io 2>/dev/null",
      talk, outside, inside);
  const std::string text = output_of(command);
  constexpr std::string_view kRate = "Tx-pps:";
  double total = 0;
  int seen = 0;
  for (std::size_t at = 0; (at = text.find(kRate, at)) != std::string::npos;) {
    at += kRate.size();
    if (++seen > 2) total += std::atof(text.c_str() + at);
  }
  if (seen != 4 || total == 0) return std::nullopt;
  return total;
}

}  // namespace sluice::bench
