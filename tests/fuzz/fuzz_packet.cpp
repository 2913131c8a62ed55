// SPDX-License-Identifier: Apache-2.0
//
// Packet bytes through the production pipeline: no crash, and received = passed + dropped.
// Input: frames of [side, size, bytes…].
#include <cstdlib>
#include <memory>

#include "dataplane/offline/replay.h"
#include "rules/compile.h"
#include "rules/node_json.h"

using namespace sluice;

namespace {

std::shared_ptr<const dataplane::Snapshot> snapshot() {
  static const std::string kNode = R"({"security_groups":[{"name":"g","rules":[
    {"rule_type":"Inbound","protocol_name":"TCP","port_range":"0-32767","network":"any"},
    {"rule_type":"Inbound","protocol_name":"ICMP","network":"any"},
    {"rule_type":"Outbound","protocol_name":"UDP","network":"10.0.0.0/8"}]}],
    "load_balancers":[{"name":"a","addresses":["10.0.0.10","fd00::10"],"security_groups":["g"]}]})";
  const auto document = rules::node_from_json(*rules::parse_json(kNode));
  const std::vector<std::string> zones{""};
  return std::make_shared<const dataplane::Snapshot>(
      dataplane::Snapshot{*rules::Compiler().compile(document->node, zones, 1), {.timeouts = {}}});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static const auto kSnapshot = snapshot();
  dataplane::offline::Replay replay(16, {}, 64);
  replay.publish(kSnapshot);
  std::uint64_t frames = 0;
  while (size >= 2) {
    const std::size_t frame_size = std::min<std::size_t>(bytes[1], size - 2);
    dataplane::offline::Input input;
    input.time_ns = ++frames * 100'000'000;
    input.side = bytes[0] & 1 ? dataplane::Side::inside : dataplane::Side::outside;
    // A buffer of its own, of exact size, so that a read past its end is seen.
    input.bytes.assign(bytes + 2, bytes + 2 + frame_size);
    input.bytes.shrink_to_fit();
    (void)replay.judge(input);
    bytes += 2 + frame_size;
    size -= 2 + frame_size;
  }
  replay.finish();
  const dataplane::Counts counts = replay.counts();
  if (counts.received != frames || counts.received != counts.passed + counts.dropped_total())
    std::abort();
  return 0;
}
