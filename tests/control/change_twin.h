// SPDX-License-Identifier: Apache-2.0
//
// The stupid twin of the service: what SEMANTICS.md §3 says of changes, in maps and sets, with
// nothing of the service's own code. A change is made on a copy, and the copy must be a sound node;
// a rollback puts back what the maps held before the change.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "tests/control/change_ask.h"

namespace sluice::tests {

// What asks draw from: TCP 1000.., 172.16.1.. and 10.10.. and on.
inline constexpr unsigned kPortsAsked = 8, kManualsAsked = 3, kNetsAsked = 5;

struct TwinVpc {
  std::string name;
  unsigned net = 0;
  unsigned version = 0;  // grows with each time it is written, the same or not
};
struct TwinGroup {
  std::string name;
  std::vector<std::pair<unsigned, AskedRule>> rules;  // with their ids
  unsigned version = 0;
};
struct TwinLb {
  std::string name, zone, status, registration;
  std::vector<std::pair<unsigned, bool>> addresses;  // 10.0.0.<n>; is it public?
  std::set<unsigned> groups;
  unsigned default_group = 0;
};
using TwinAttachment = std::pair<unsigned, unsigned>;  // LB, group

// What a change can touch: 'v' a VPC, 'g' a group, 'l' an LB's registration, 'a' an attachment,
// 'd' the account's default group.
struct Touch {
  char what;
  unsigned id;
  unsigned group = 0;
  auto operator<=>(const Touch&) const = default;
};

struct TwinNode {
  std::map<unsigned, TwinVpc> vpcs;
  std::map<unsigned, TwinGroup> groups;
  std::map<unsigned, TwinLb> lbs;
  std::map<TwinAttachment, std::int64_t> expiries;
  unsigned account_default = 1;
};

struct TwinPending {
  std::int64_t confirm_by = 0;
  std::set<Touch> touched;
  std::shared_ptr<const TwinNode> before;
};

struct Verdict;

struct ChangeTwin {
  TwinNode node;
  std::map<unsigned, TwinPending> pending;
  unsigned next_group = 3, next_rule = 7, next_lb = 1, next_vpc = 1, next_change = 1;
  std::uint64_t generation = 1;

  [[nodiscard]] static ChangeTwin first();  // a node that was never started before
  // A state in these words, without versions and without what pending changes would put back.
  [[nodiscard]] static ChangeTwin observed(const control::State& state);
  [[nodiscard]] std::string text() const;

  [[nodiscard]] Verdict judge(const Ask& ask, std::int64_t now) const;
  // By the node itself. False: it was not due.
  [[nodiscard]] bool end_attachment(const TwinAttachment& attachment, std::int64_t now);
  [[nodiscard]] bool roll_back_unconfirmed(unsigned change, std::int64_t now);
  [[nodiscard]] bool is_anything_due(std::int64_t now) const;

  // Does a rule of a group of the LB with that address allow it? `remote`: 'm' 172.16.<net>.7,
  // 'n' 10.<net>.0.7, 'x' somewhere else.
  struct Probe {
    std::string zone;
    unsigned address, port;
    bool is_inbound;
    char remote;
    unsigned net;
  };
  [[nodiscard]] unsigned owner_of(const Probe& probe) const;  // 0: no LB
  [[nodiscard]] bool allows(const Probe& probe) const;
};

// What must come of an ask.
struct Verdict {
  std::string refusal;  // "", or "invalid", "not_found", "conflict", "stale", "refused" for any
  ChangeTwin next;      // its generation is not yet counted
  unsigned made = 0;    // the id of what a create made
  unsigned change = 0;  // that awaits confirmation
  bool is_answer_only = false;
};

[[nodiscard]] AskedDocument document_of(const ChangeTwin& twin);

}  // namespace sluice::tests
