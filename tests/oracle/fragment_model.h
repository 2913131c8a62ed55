// SPDX-License-Identifier: Apache-2.0
//
// The reference model of fragments, written from SEMANTICS §4 "Fragments": slow and obvious.
#pragma once

#include <map>
#include <vector>

#include "tests/oracle/flow_model.h"

namespace sluice::oracle {

struct ReleasedOutcome {
  std::uint64_t number = 0;  // of the packet
  Outcome outcome;
};

class FragmentModel {
 public:
  explicit FragmentModel(FlowModel& flows) : flows_(flows) {}

  void pass_time(TimeMs now);
  // Any packet, numbered by the caller: parse, load balancer, fragment, flow, rules.
  [[nodiscard]] Outcome judge(std::uint64_t number, const SpokenPacket& packet);
  [[nodiscard]] std::vector<ReleasedOutcome> take_released();
  void finish();

 private:
  enum class State : std::uint8_t { waiting, passing, dropped };
  // Direction, VLAN, source, destination, protocol (IPv4), id.
  using Key =
      std::tuple<bool, std::uint16_t, rules::Address, rules::Address, std::uint8_t, std::uint32_t>;
  struct Held {
    std::uint64_t number;
    Outcome so_far;
  };
  struct Datagram {
    std::uint64_t order = 0;  // of appearance
    TimeMs born = 0;
    State state = State::waiting;
    std::vector<Piece> pieces;
    std::vector<Held> held;
    SpokenPacket first;
    std::uint32_t tcp_base = 0;  // sequence number of a TCP payload's first byte
    Outcome verdict;
    std::uint64_t generation = 0;
  };

  [[nodiscard]] Outcome judge_fragment(std::uint64_t number, const SpokenPacket& packet,
                                       const Outcome& so_far);
  [[nodiscard]] Outcome judge_later(Datagram& datagram, Outcome so_far);
  [[nodiscard]] Outcome hold(std::uint64_t number, const SpokenPacket& packet,
                             const Outcome& so_far);
  Datagram& datagram_of(const SpokenPacket& packet);
  // All of a TCP segment is known: its flow learns how long it is.
  void note_progress(const Datagram& datagram);
  void settle(const SpokenPacket& packet, const Outcome& outcome);
  void release(Datagram& datagram, const Outcome& outcome);

  [[nodiscard]] Key key_of(const SpokenPacket& packet) const;

  FlowModel& flows_;
  TimeMs now_ = 0;
  std::uint64_t appeared_ = 0;
  std::map<Key, Datagram> datagrams_;
  std::vector<ReleasedOutcome> released_;
};

}  // namespace sluice::oracle
