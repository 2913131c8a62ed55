// SPDX-License-Identifier: Apache-2.0
//
// The table: every policy of the node in the immutable form that workers look packets up in.
//
// Why a lookup takes nearly constant time. Rules only allow, so nobody asks which rule comes first:
// the verdict on a packet is one bit, a function of (policy, direction, service, remote address).
//
//  1. LB. (zone, local address) is looked up in a hash table: the LB and its policy. LBs with the
//     same set of groups share one policy, and policies that a change does not touch are shared
//     with the table before it.
//  2. Service class. Ports that no rule tells apart behave alike. The rules' port borders cut the
//     65,536 ports of a protocol into classes; a packet's port becomes a small integer. ICMP types
//     and other protocols get classes in the same numbering.
//  3. Any source. A bit per class says whether some rule opens it to every address. A public
//     listener is decided here and its packets never look at an address.
//  4. Address row. The borders of the rules' networks cut the address space into intervals; each
//     points to a row of bits, a bit per service class. Intervals with equal rows share one.
//  5. Verdict. row[service class].
//
// One packet: TCP from 10.1.2.3 to port 8080 of an LB whose rules are {TCP 443 from any} and
// {TCP 8000-8999 from 10.0.0.0/8}. TCP classes: 0-442, 443, 444-7999, 8000-8999, 9000-65535; the
// packet is in the fourth. It is not open to any source. Intervals: below 10.0.0.0, 10.0.0.0/8,
// above; the packet is in the second, whose row has the fourth bit set: pass.
//
// A thousand more rules add borders, not steps: two searches whose depth grows with the logarithm
// of the borders, and loads whose cost is that of the cache level the policy fits in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "rules/packet_key.h"

namespace sluice::rules {

class PolicyTable;  // one (policy, direction)

inline constexpr std::size_t kBatchMax = 64;

// An LB address found in the table.
struct LbMatch {
  LbId lb = 0;  // 0: no LB owns the address
  PolicyIndex policy = 0;
};

// Immutable after compile: any number of threads may read.
class Table {
 public:
  // Grows by one per publish; 0 is never published.
  [[nodiscard]] std::uint64_t generation() const noexcept { return generation_; }

  // The LB that owns `local` in `zone` (index in the node's zone list).
  [[nodiscard]] LbMatch find_lb(std::uint16_t zone, const Address& local) const noexcept;

  // Does a rule of the key's policy and direction allow it? Any policy index but one from this
  // table's find_lb is undefined.
  [[nodiscard]] bool allows(const PacketKey& key) const noexcept;

  // Bit i of the answer: allows(keys[i]). At most kBatchMax keys, any mix of policies, directions
  // and families.
  [[nodiscard]] std::uint64_t allows_batch(std::span<const PacketKey> keys) const noexcept;

  // The rule that allows the key: of those that do, the one of the lowest group id, then the
  // first in that group's order. Slow (a cold index): asked once, when a flow opens.
  [[nodiscard]] std::optional<RuleRef> rule_of(const PacketKey& key) const noexcept;

  // Memory held by this table, shared parts counted once. Bytes.
  [[nodiscard]] std::size_t size_bytes() const noexcept;
  [[nodiscard]] std::size_t policies() const noexcept { return policies_.size(); }
  [[nodiscard]] std::size_t load_balancers() const noexcept { return load_balancers_; }

 private:
  friend class Compiler;

  struct Policy {
    std::shared_ptr<const PolicyTable> inbound;
    std::shared_ptr<const PolicyTable> outbound;
  };
  // Open addressing, a power of two of slots, at most half full; lb == 0: free.
  struct Slot {
    Address address;
    LbMatch match;
    std::uint16_t zone = 0;
  };
  [[nodiscard]] std::size_t slot_of(std::uint16_t zone, const Address& local) const noexcept;
  [[nodiscard]] const PolicyTable& policy_of(const PacketKey& key) const noexcept;

  std::uint64_t generation_ = 0;
  std::size_t load_balancers_ = 0;
  std::vector<Slot> slots_;
  std::vector<Policy> policies_;
};

}  // namespace sluice::rules
