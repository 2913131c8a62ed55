// SPDX-License-Identifier: Apache-2.0
//
// Compiled for AVX-512 (BW), and called only where the CPU has it: read_plain_tcp for sixteen
// frames at a time: the words of their headers, transposed, so that each check is one instruction
// for all.
#include "dataplane/plain_tcp.h"

#include <immintrin.h>

#include <algorithm>

#include "rules/model.h"

namespace sluice::dataplane {

namespace {

constexpr std::size_t kLanes = 16;

// Stands for a frame that is none of ours; fails every check.
alignas(64) constexpr std::array<std::uint8_t, 64> kNothing{};

// Where the headers of sixteen frames are, and what the bytes behind them do not tell.
struct Headers {
  std::array<const std::uint8_t*, kLanes> ip;
  alignas(64) std::array<std::uint32_t, kLanes> room;  // from there to the frame's end; 0: none
  alignas(64) std::array<std::uint32_t, kLanes> at;
  alignas(64) std::array<std::uint32_t, kLanes> zone;
};

// One that is tagged, or no IPv4 at all.
[[gnu::noinline]] void find_unusual(const Frame& frame, const Ingress& ingress, Headers& headers,
                                    std::size_t lane) noexcept {
  std::size_t vlan = 0;
  const std::uint32_t at = plain_ipv4_at(frame, vlan);
  headers.at[lane] = at;
  headers.zone[lane] = ingress.zone_of_vlan[vlan];
  headers.ip[lane] = at == 0 ? kNothing.data() : frame.bytes + at;
  headers.room[lane] = at == 0 ? 0 : frame.size - at;
}

void find_headers(std::span<const Frame> frames, const Ingress& ingress,
                  Headers& headers) noexcept {
  headers.at.fill(kUntaggedIpv4At);
  headers.zone.fill(ingress.zone_of_vlan[0]);
  const std::size_t count = std::min(frames.size(), kLanes);
  for (std::size_t i = 0; i < count; ++i) {
    const Frame& frame = frames[i];
    if (frame.size < kUntaggedIpv4At + kPlainHeaders || !has_type(frame, 12, kEtherIpv4))
        [[unlikely]] {
      find_unusual(frame, ingress, headers, i);
      continue;
    }
    headers.ip[i] = frame.bytes + kUntaggedIpv4At;
    headers.room[i] = frame.size - kUntaggedIpv4At;
  }
  for (std::size_t i = count; i < kLanes; ++i) {
    headers.ip[i] = kNothing.data();
    headers.room[i] = 0;
  }
}

// Word j of all sixteen headers, from 16 bytes at `offset` of each.
struct Words {
  __m512i word[4];
};

inline __m512i load_every_fourth(const std::uint8_t* const* ip, std::size_t offset) noexcept {
  const auto at = [&](std::size_t i) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(ip[i] + offset));
  };
  __m512i rows = _mm512_castsi128_si512(at(0));
  rows = _mm512_inserti32x4(rows, at(4), 1);
  rows = _mm512_inserti32x4(rows, at(8), 2);
  return _mm512_inserti32x4(rows, at(12), 3);
}

inline Words transpose(__m512i a, __m512i b, __m512i c, __m512i d) noexcept {
  const __m512i ab_low = _mm512_unpacklo_epi32(a, b), ab_high = _mm512_unpackhi_epi32(a, b);
  const __m512i cd_low = _mm512_unpacklo_epi32(c, d), cd_high = _mm512_unpackhi_epi32(c, d);
  return {{_mm512_unpacklo_epi64(ab_low, cd_low), _mm512_unpackhi_epi64(ab_low, cd_low),
           _mm512_unpacklo_epi64(ab_high, cd_high), _mm512_unpackhi_epi64(ab_high, cd_high)}};
}

inline Words load_words(const Headers& headers, std::size_t offset) noexcept {
  const std::uint8_t* const* ip = headers.ip.data();
  return transpose(load_every_fourth(ip, offset), load_every_fourth(ip + 1, offset),
                   load_every_fourth(ip + 2, offset), load_every_fourth(ip + 3, offset));
}

inline __m512i swap32(__m512i words) noexcept {
  return _mm512_shuffle_epi8(words,
                             _mm512_set4_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203));
}
inline __m512i swap16(__m512i words) noexcept {
  return _mm512_shuffle_epi8(words,
                             _mm512_set4_epi32(0x0e0f0c0d, 0x0a0b0809, 0x06070405, 0x02030001));
}
inline __m512i low16(__m512i words) noexcept {
  return _mm512_and_si512(words, _mm512_set1_epi32(0xffff));
}
inline __m512i all(std::uint32_t word) noexcept {
  return _mm512_set1_epi32(static_cast<int>(word));
}

// As is_ipv4_checksum_right(): a sum of ten 16-bit words is 0xffff when the carries are back in.
inline unsigned is_checksum_right(const __m512i (&words)[5]) noexcept {
  __m512i sum = _mm512_setzero_si512();
  for (const __m512i& word : words)
    sum = _mm512_add_epi32(sum, _mm512_add_epi32(low16(word), _mm512_srli_epi32(word, 16)));
  sum = _mm512_add_epi32(low16(sum), _mm512_srli_epi32(sum, 16));
  sum = _mm512_add_epi32(low16(sum), _mm512_srli_epi32(sum, 16));
  return _mm512_cmpeq_epi32_mask(sum, all(0xffff));
}

// As is_martian_ipv4(), of addresses in host order.
inline unsigned is_martian(__m512i source) noexcept {
  const __m512i net = _mm512_srli_epi32(source, 24);
  return _mm512_cmpeq_epi32_mask(net, all(0)) | _mm512_cmpeq_epi32_mask(net, all(127)) |
         _mm512_cmpge_epu32_mask(net, all(224));
}

// Two columns of words into rows of Ipv4FlowWords.
inline void store_flows(__m512i remote, __m512i local, __m512i ports, __m512i rest,
                        Ipv4FlowWords* flows) noexcept {
  const Words rows = transpose(remote, local, ports, rest);
  const auto store = [&](std::size_t i, __m128i row) {
    _mm_store_si128(reinterpret_cast<__m128i*>(flows + i), row);
  };
  for (std::size_t k = 0; k < 4; ++k) {
    store(k, _mm512_castsi512_si128(rows.word[k]));
    store(k + 4, _mm512_extracti32x4_epi32(rows.word[k], 1));
    store(k + 8, _mm512_extracti32x4_epi32(rows.word[k], 2));
    store(k + 12, _mm512_extracti32x4_epi32(rows.word[k], 3));
  }
}

// The checks stand in the order of read_one() in plain_tcp.cpp, and tell the same.
PacketMask read_sixteen(const Headers& headers, bool inbound, PlainTcp& plain,
                        std::size_t first) noexcept {
  const Words ip = load_words(headers, 0), ip_tcp = load_words(headers, 16),
              tcp = load_words(headers, 24);
  const __m512i room = _mm512_load_si512(headers.room.data());
  const __m512i zone = _mm512_load_si512(headers.zone.data());
  unsigned bad = _mm512_cmpeq_epi32_mask(zone, all(kNoZone));
  bad |= _mm512_cmpneq_epi32_mask(_mm512_and_si512(ip.word[0], all(0xff)), all(0x45));
  bad |= _mm512_cmpneq_epi32_mask(_mm512_and_si512(ip.word[2], all(0xff00)),
                                  all(std::uint32_t{rules::kProtocolTcp} << 8));
  const __m512i total_bytes = low16(swap32(ip.word[0]));
  bad |= _mm512_cmplt_epu32_mask(total_bytes, all(40)) | _mm512_cmpgt_epu32_mask(total_bytes, room);
  bad |= _mm512_test_epi32_mask(ip.word[1], all(0xff3f0000));  // a fragment
  bad |= ~is_checksum_right({ip.word[0], ip.word[1], ip.word[2], ip.word[3], ip_tcp.word[0]});
  const __m512i source = swap32(ip.word[3]), destination = swap32(ip_tcp.word[0]);
  bad |= is_martian(source) | _mm512_cmpeq_epi32_mask(source, destination);
  const __m512i size = _mm512_sub_epi32(total_bytes, all(20));
  const __m512i header = _mm512_srli_epi32(_mm512_and_si512(tcp.word[2], all(0xf0)), 2);
  bad |= _mm512_cmplt_epu32_mask(header, all(20)) | _mm512_cmpgt_epu32_mask(header, size);
  const __m512i ports = swap16(ip_tcp.word[1]);
  bad |= _mm512_cmpeq_epi32_mask(low16(ports), all(0)) |
         _mm512_testn_epi32_mask(ports, all(0xffff0000));
  const __m512i edges = all(std::uint32_t{kTcpSyn | kTcpFin | kTcpRst | kTcpAck} << 8);
  bad |= _mm512_cmpneq_epi32_mask(_mm512_and_si512(tcp.word[2], edges), all(kTcpAck << 8));

  const __m512i kind = _mm512_or_si512(
      zone, all(std::uint32_t{rules::kProtocolTcp} << 16 |
                std::uint32_t{static_cast<std::uint8_t>(rules::Family::ipv4)} << 24));
  store_flows(inbound ? source : destination, inbound ? destination : source,
              inbound ? _mm512_rol_epi32(ports, 16) : ports, kind, plain.flows.data() + first);
  _mm512_store_si512(plain.seq.data() + first, swap32(ip_tcp.word[2]));
  _mm512_store_si512(plain.ack.data() + first, swap32(ip_tcp.word[3]));
  _mm512_store_si512(plain.length.data() + first, _mm512_sub_epi32(size, header));
  _mm512_store_si512(plain.window.data() + first, low16(swap32(tcp.word[2])));
  _mm512_store_si512(plain.ipv4_at.data() + first, _mm512_load_si512(headers.at.data()));
  return ~bad & 0xffffu;
}

}  // namespace

PacketMask read_plain_tcp_wide(std::span<const Frame> frames, const Ingress& ingress,
                               PlainTcp& plain) noexcept {
  const bool inbound = direction_of(ingress) == rules::Direction::inbound;
  PacketMask set = 0;
  for (std::size_t first = 0; first < frames.size(); first += kLanes) {
    Headers headers;
    find_headers(frames.subspan(first), ingress, headers);
    set |= read_sixteen(headers, inbound, plain, first) << first;
  }
  return set;
}

}  // namespace sluice::dataplane
