// SPDX-License-Identifier: Apache-2.0
#include "tests/oracle/spoken_packet.h"

namespace sluice::oracle {
namespace {

std::size_t header_size(std::uint8_t protocol) {
  switch (protocol) {
    case 6:
      return 20;
    case 17:
    case 1:
    case 58:
      return 8;
    case 132:
      return 12;
    default:
      return 0;
  }
}

}  // namespace

bool is_sane(const Piece& piece, std::uint8_t protocol) {
  if (piece.size_bytes == 0 || piece.offset_bytes + piece.size_bytes > 65535) return false;
  if (piece.more && piece.size_bytes % 8 != 0) return false;
  if (piece.offset_bytes == 0) return true;
  return piece.offset_bytes >= (protocol == 6 ? 20u : 8u);
}

bool has_transport_header(const SpokenPacket& packet) {
  if (!packet.piece) return true;
  return packet.piece->offset_bytes == 0 && is_sane(*packet.piece, packet.protocol) &&
         packet.piece->size_bytes >= header_size(packet.protocol);
}

}  // namespace sluice::oracle
