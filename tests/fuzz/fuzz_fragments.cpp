// SPDX-License-Identifier: Apache-2.0
//
// Fragments in any order and overlap, through the production pipeline, against what a host behind
// it could be made to believe: of the pieces that pass, none overlaps another but as the same piece
// again, and none passes before the first fragment did. The books are right at every instant.
// Input: fragments of [datagram and way, offset, size, port and time].
#include <cstdlib>
#include <map>
#include <set>
#include <vector>

#include "dataplane/offline/replay.h"
#include "rules/compile.h"
#include "rules/node_json.h"
#include "tests/packet_builder.h"

using namespace sluice;
using dataplane::Side;
using dataplane::Verdict;
using dataplane::offline::Input;

namespace {

std::shared_ptr<const dataplane::Snapshot> snapshot() {
  static const std::string kNode = R"({"security_groups":[{"name":"g","rules":[
    {"rule_type":"Inbound","protocol_name":"UDP","port_range":"53","network":"any"},
    {"rule_type":"Outbound","protocol_name":"TCP","port_range":"53","network":"any"}]}],
    "load_balancers":[{"name":"a","addresses":["10.0.0.10","fd00::10"],"security_groups":["g"]}]})";
  const auto document = rules::node_from_json(*rules::parse_json(kNode));
  const std::vector<std::string> zones{""};
  return std::make_shared<const dataplane::Snapshot>(
      dataplane::Snapshot{*rules::Compiler().compile(document->node, zones, 1), {.timeouts = {}}});
}

struct Piece {
  unsigned datagram = 0;  // id, family, side
  std::size_t offset = 0;
  std::size_t size = 0;
  bool is_whole = false;  // no fragment at all
  Input input;
};

Piece piece_of(const std::uint8_t* op, dataplane::TimeNs now) {
  Piece piece;
  piece.datagram = op[0] & 15;
  const bool outside = op[0] & 1, v6 = op[0] & 2;
  const bool tcp = op[0] & 16;
  if (!v6 && tcp) piece.datagram |= 16;
  piece.offset = std::size_t{op[1]} % 32 * 8;
  piece.size = op[2];
  const bool more = op[3] & 1;
  piece.is_whole = piece.offset == 0 && !more;
  const std::string lb = v6 ? "fd00::10" : "10.0.0.10", peer = v6 ? "2001:db8::1" : "10.1.0.1";
  tests::PacketBuilder packet(outside ? peer : lb, outside ? lb : peer);
  const std::uint16_t port = op[3] & 2 ? 54 : 53;
  if (tcp) {
    packet.tcp(1000, port, 2);
  } else {
    packet.udp(1000, port, 0);
  }
  packet.fragment(static_cast<std::uint16_t>(piece.offset), more, op[0] >> 2 & 3);
  if (piece.offset != 0) {
    packet.payload_of_fragment(tests::Bytes(piece.size, op[2]));
  } else if (tcp) {
    piece.size = 20;
  } else {
    packet.udp(1000, port, piece.size);
    piece.size += 8;
  }
  piece.input = {now, outside ? Side::outside : Side::inside, packet.frame()};
  return piece;
}

// What came through of each datagram.
class Host {
 public:
  void receive(const Piece& piece) {
    if (piece.is_whole) return;
    auto& pieces = pieces_[piece.datagram];
    const std::pair<std::size_t, std::size_t> range{piece.offset, piece.offset + piece.size};
    if (piece.offset == 0) firsts_.insert(piece.datagram);
    if (!firsts_.contains(piece.datagram)) std::abort();
    for (const auto& other : pieces) {
      if (other == range) return;
      if (range.first < other.second && other.first < range.second) std::abort();
    }
    pieces.insert(range);
  }

 private:
  std::map<unsigned, std::set<std::pair<std::size_t, std::size_t>>> pieces_;
  std::set<unsigned> firsts_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static const auto kSnapshot = snapshot();
  dataplane::offline::Replay replay(256, {}, 256);
  replay.publish(kSnapshot);
  std::vector<Piece> pieces;
  Host host;
  dataplane::TimeNs now = 1'000'000'000;
  const dataplane::TimeNs end = now + 1'990'000'000;  // a datagram is remembered that long
  const auto settle = [&] {
    for (const auto& released : replay.take_released())
      if (released.verdict.passes()) host.receive(pieces.at(released.number));
    const dataplane::Counts counts = replay.counts();
    if (counts.received != counts.passed + counts.dropped_total()) std::abort();
    if (counts.received + counts.fragments_held != pieces.size()) std::abort();
  };
  for (; size >= 4; bytes += 4, size -= 4) {
    now = std::min<dataplane::TimeNs>(end, now + (bytes[3] >> 2) * 1'000'000ull);
    pieces.push_back(piece_of(bytes, now));
    const Verdict verdict = replay.judge(pieces.back().input);
    if (verdict.passes()) host.receive(pieces.back());
    settle();
  }
  replay.finish();
  settle();
  if (replay.counts().fragments_held != 0) std::abort();
  return 0;
}
