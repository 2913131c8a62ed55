// SPDX-License-Identifier: Apache-2.0
//
// The reference model of load balancers, flows and rules, written from SEMANTICS §3 and §4: slow,
// obvious, and sharing nothing with the data plane but the names of its verdicts.
//
// Where SEMANTICS leaves a moment open (idle times are kept to a second), is_in_doubt() says so and
// the test picks another moment.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dataplane/verdict.h"
#include "rules/model.h"
#include "tests/oracle/spoken_packet.h"

namespace sluice::oracle {

using TimeMs = std::uint64_t;

struct Outcome {
  dataplane::DropReason reason = dataplane::DropReason::none;
  dataplane::FlowKind flow = dataplane::FlowKind::none;
  rules::LbId lb = 0;
  rules::RuleRef rule;
  bool is_held = false;
  // Kept or draining: no rule allows it any more; which one is remembered is left open.
  bool is_by_grace = false;
  [[nodiscard]] bool passes() const { return reason == dataplane::DropReason::none && !is_held; }
};

enum class Fate : std::uint8_t { cut, keep, drain };

// What a publish brings into force.
struct Published {
  std::shared_ptr<const rules::Node> node;
  std::vector<std::string> zones;
  std::map<std::uint16_t, std::string> zone_of_vlan;
  bool pass_unknown_addresses = false;
  bool allow_ip_options = false;
  bool rules_first = false;
  std::uint32_t adopt_s = 0;
  Fate fate = Fate::cut;
  std::uint32_t drain_s = 0;
  std::uint32_t cells = 0;  // room for flows, an IPv6 flow takes two; 0: for all
};

struct FateTotals {
  std::uint64_t cut = 0, kept = 0, draining = 0;
  bool operator==(const FateTotals&) const = default;
};

// Sequence numbers that are right for a segment.
struct RightNumbers {
  std::uint32_t seq = 1000, ack = 0;
};

class FlowModel {
 public:
  FateTotals publish(const Published& published, TimeMs now);
  void pass_time(TimeMs now);
  // Is `now` a moment at which an idle time or a grace may or may not be over?
  [[nodiscard]] bool is_in_doubt(TimeMs now) const;
  [[nodiscard]] bool is_draining() const;

  // Parse and load balancer. A value: judged already.
  [[nodiscard]] std::optional<Outcome> judge_address(const SpokenPacket& packet,
                                                     Outcome& so_far) const;
  // Flow and rules, for a whole packet or the first fragment of one.
  [[nodiscard]] Outcome judge(const SpokenPacket& packet, Outcome so_far);

  // The first fragment of a datagram passed under an older table: may its later ones still?
  [[nodiscard]] bool is_still_allowed(const SpokenPacket& first, const Outcome& outcome);

  [[nodiscard]] RightNumbers numbers_for(const SpokenPacket& packet) const;
  // Does SEMANTICS leave open what becomes of it? Then the test does not send it.
  [[nodiscard]] bool leaves_open(const SpokenPacket& packet) const;
  // The rest of a TCP segment in fragments came by: it ends before `end`.
  void note_end(const SpokenPacket& first, std::uint32_t end);
  [[nodiscard]] std::size_t live() const { return flows_.size(); }
  [[nodiscard]] std::uint64_t generation() const { return generation_; }

 private:
  enum class Tcp : std::uint8_t {
    syn_sent,
    syn_received,
    established,
    fin_opener,
    fin_other,
    closing,
    reset,
  };
  // What a change that no longer allows the flow made of it.
  enum class Grace : std::uint8_t { none, cut, kept, draining };
  struct Key {
    std::string zone;
    rules::Address local, remote;
    std::uint8_t protocol = 0;
    std::uint16_t local_port = 0, remote_port = 0;
    auto operator<=>(const Key&) const = default;
  };
  struct Flow {
    rules::Direction opener = rules::Direction::inbound;
    std::uint16_t service = 0;  // of the opener
    rules::RuleRef rule;
    bool has_lost_rule = false;  // another one allows it
    TimeMs seen = 0;
    std::uint64_t number = 0;  // of all that were opened
    bool replied = false;
    Tcp tcp = Tcp::syn_sent;
    Grace grace = Grace::none;
    TimeMs grace_until = 0;
    // By direction: one past what was sent; was FIN sent.
    std::array<std::uint32_t, 2> next{};
    std::array<std::uint32_t, 2> syn{};
    std::array<bool, 2> known{};
    std::array<bool, 2> fin{};
    bool is_refused = false;  // reset before it was established
    bool has_jumped = false;  // data outside its window was believed
  };
  enum class Step : std::uint8_t { pass, pass_aside, drop, outside, reopen };

  [[nodiscard]] Key key_of(const SpokenPacket& packet) const;
  [[nodiscard]] std::optional<Key> quoted_key_of(const SpokenPacket& packet) const;
  [[nodiscard]] std::optional<rules::RuleRef> rule_for(rules::LbId lb, rules::Direction direction,
                                                       std::uint8_t protocol, std::uint16_t service,
                                                       const rules::Address& remote) const;
  // Does the flow's rule allow to its LB what it allowed under the node before?
  [[nodiscard]] bool has_rule_still(const rules::Node& before, const Key& key,
                                    const Flow& flow) const;
  [[nodiscard]] rules::LbId lb_of(const std::string& zone, const rules::Address& local) const;
  [[nodiscard]] TimeMs limit_of(const Key& key, const Flow& flow) const;
  // Finds its rule again if it lost it. False: revoked, and gone.
  [[nodiscard]] bool survives(const Key& key, Flow& flow);
  [[nodiscard]] Step step(Flow& flow, const SpokenPacket& packet) const;
  static void note_numbers(Flow& flow, const SpokenPacket& packet, const RightNumbers& numbers);
  // Has flows without a reply give way, oldest first, until one with that key may stand. False:
  // there is no room.
  [[nodiscard]] bool make_room(const Key& key);
  [[nodiscard]] Outcome open(const Key& key, const SpokenPacket& packet, Outcome so_far,
                             const RightNumbers& numbers);
  [[nodiscard]] std::optional<Outcome> adopt(const Key& key, const SpokenPacket& packet,
                                             Outcome so_far, const RightNumbers& numbers);
  [[nodiscard]] std::optional<rules::RuleRef> rule_in_its_direction(const SpokenPacket& packet,
                                                                    rules::LbId lb) const;
  [[nodiscard]] Outcome judge_icmp(const SpokenPacket& packet, Outcome so_far);

  Published now_in_force_;
  std::uint64_t generation_ = 0;
  TimeMs first_publish_ = 0;
  TimeMs now_ = 0;
  std::uint64_t opened_ = 0;
  std::map<Key, Flow> flows_;
  std::set<Key> revoked_;  // never adopted
};

}  // namespace sluice::oracle
