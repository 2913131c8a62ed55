// SPDX-License-Identifier: Apache-2.0
//
// The table: every policy of the node in the immutable form that workers look packets up in.
//
// What is asked. A packet that opens a flow passes if at least one rule of one group attached to
// its LB allows it. Rules only allow: there are no priorities and no order, so the answer is one
// bit, a function of (policy, direction, protocol and service, remote address), and adding a rule
// can only turn bits on. A general classifier (rte_acl, tuple space search) must find the best of
// many matches; here it is enough to have the union written down.
//
// One image a policy and direction. LBs with the same set of groups share a policy; policies whose
// rules come to the same bytes share an image; a change compiles only the policies it touches and
// takes the others over. An image is one run of cache lines, with offsets instead of pointers
// (policy_image.h), so it can be copied as it is into a worker's own memory (replica()).
//
// How a packet is looked up, and why in nearly constant time:
//
//  1. LB (lb_index.h). (zone, local address) in a hash table: the LB and its policy; policy and
//     direction: the image; the family: its head, three lines that say where everything else is.
//  2. Service axis (service_axis.h). TCP, UDP and SCTP ports, ICMP and ICMPv6 type and code, and
//     all other protocols by number: six axes of 65,536 numbers. What a rule says of protocol and
//     port is runs of numbers on axes; a packet is one number on one axis.
//  3. Open to any source. A map of the axis (one byte for each 256 numbers, which says which of the
//     few distinct pages of 256 bits it has) tells whether some rule opens the number to every
//     address of the family. A public listener is decided here and its packets never look at an
//     address.
//  4. Interval. The borders of all rules' networks cut the family's addresses into intervals inside
//     which no rule can tell two addresses apart; the packet's is the count of borders below its
//     address. The borders stand sorted in a row. The address space is cut into slices of equal
//     size, by a shift (address_slices.h): an address's slice says from where in the row one
//     comparison of 16 borders (8 in IPv6) finishes the count. Where networks crowd, up to four
//     pieces of the space have slices of their own size; where that is not enough, the slices are
//     of every 16th border, and one more comparison goes from there to the row. IPv6 rows are over
//     the high 64 bits, where prefixes mostly end; a high half inside which something changes has
//     a few borders, or a row of its own, over the low 64 bits.
//  5. Set. In each interval and axis stands the union of what the rules allow there: a set of
//     numbers, written as its turns (the numbers from which on membership is the other one). The
//     packet's number is in if it has reached an odd count of them. Up to four turns stand in the
//     interval's slot itself, up to 31 in part of a line; beyond that pages of lines, then a
//     bitmap.
//
// One packet: TCP from 10.1.2.3 to port 8080 of an LB whose rules are {TCP 443 from any} and
// {TCP 8000-8999 from 10.0.0.0/8}. The TCP map says that 443 is open to any source and 8080 is not.
// Borders: 9.255.255.255 and 10.255.255.255; one is below the address: interval 1. Its TCP slot has
// the turns 8000 and 9000; 8080 has reached one of them, an odd count: pass.
//
// A thousand rules more add intervals and slices, not steps: where they lie apart, one comparison
// is enough for any number; in the worst crowd each takes 16 (IPv4) times as many. What a lookup
// costs is then the cache level that an image lies in, hence the care for few and small lines.
// Rules that overlap only merge in their sets, so an image is O(rules x nesting) bytes, never
// O(rules^2): "every rule its own port and its own network inside the one before" is the worst
// case, and what needs more than kLinesMax is refused, with the reason, at compile time.
//
// In batches (lookup_avx512.cpp) keys go through these steps side by side, so that the misses of
// one hide behind the work of others, and nothing branches on what a key is. A batch of one policy
// gathers from its image with one base; a mixed one loads key by key. AVX2 and scalar CPUs take
// the same steps key by key (lookup_each.h). All are held against a loop over the rules.
//
// Which rule allowed a packet is another question, asked once, when a flow opens: a cold index for
// each group (group_index.h), shared by all policies that hold the group.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <optional>
#include <span>
#include <vector>

#include "rules/group_index.h"
#include "rules/lb_index.h"
#include "rules/lookup.h"
#include "rules/packet_key.h"
#include "rules/policy_image.h"
#include "rules/system_index.h"

namespace sluice::rules {

// An LB address found in the table.
struct LbMatch {
  LbId lb = 0;  // 0: no LB owns the address
  PolicyIndex policy = 0;
  // Low halves of generations: from which on nothing was taken from what is allowed to it, and from
  // which on it is judged as it is now.
  std::uint32_t narrowed = 0;
  std::uint32_t since = 0;
};

// What the LBs with one set of groups share.
struct Policy {
  std::array<std::shared_ptr<const PolicyImage>, 2> images;  // by direction
  std::vector<std::shared_ptr<const GroupIndex>> groups;     // by id
};

// What one policy costs.
struct PolicyReport {
  std::vector<GroupId> groups;
  std::size_t load_balancers = 0;
  std::array<std::size_t, 2> size_bytes{};  // of its images, by direction
};

// Immutable after compile: any number of threads may read.
class Table {
 public:
  // Grows by one per publish; 0 is never published.
  [[nodiscard]] std::uint64_t generation() const noexcept { return generation_; }

  // The LB that owns `local` in `zone` (index in the node's zone list).
  [[nodiscard]] LbMatch find_lb(std::uint16_t zone, const Address& local) const noexcept {
    const LbIndex::Owner owner = lb_index_->find(zone, local);
    if (owner.lb == 0) return {};
    const Ruling& ruling = ruling_of_[owner.place];
    const Changes& policy = policy_changes_[ruling.policy];
    return {owner.lb, ruling.policy, std::max(ruling.changes.narrowed, policy.narrowed),
            std::max(ruling.changes.since, policy.since)};
  }

  // The generations from which on, at every address of the node, nothing was taken from what is
  // allowed, and everything is judged as it is now.
  [[nodiscard]] std::uint64_t narrowed() const noexcept { return narrowed_; }
  [[nodiscard]] std::uint64_t changed() const noexcept { return changed_; }

  // Of a group of the policy, or of the system rules; null: the policy has no such group.
  [[nodiscard]] const LostRules* lost_rules(PolicyIndex policy, GroupId group) const noexcept;

  // Does a rule of the key's policy and direction allow it? Any policy index but one from this
  // table's find_lb is undefined.
  [[nodiscard]] bool allows(const PacketKey& key) const noexcept {
    return lookup_(image_set(), &key, 1) != 0;
  }

  // Bit i of the answer: allows(keys[i]). At most kBatchMax keys, any mix of policies, directions
  // and families.
  [[nodiscard]] std::uint64_t allows_batch(std::span<const PacketKey> keys) const noexcept {
    return lookup_(image_set(), keys.data(), keys.size());
  }

  // The rule that allows the key: a system rule if one does; else, where none reserves the
  // service, that of the lowest group id, then the first in that group's order. Slow (a cold
  // index): asked once, when a flow opens.
  [[nodiscard]] std::optional<RuleRef> rule_of(const PacketKey& key) const noexcept {
    const RuleRef* rule = find_rule(key);
    return rule == nullptr ? std::nullopt : std::optional(*rule);
  }
  // The same as a place in the table; null: none.
  [[nodiscard]] const RuleRef* find_rule(const PacketKey& key) const noexcept;

  // The same table with the lookup of another instruction set, which this CPU must have.
  [[nodiscard]] std::shared_ptr<const Table> with(InstructionSet set) const;

  // The same table with its images copied into `memory`, such as a worker's own. Images that
  // `before`, an earlier replica in that memory, already holds are shared with it.
  // Throws what the memory throws (std::bad_alloc).
  [[nodiscard]] std::shared_ptr<const Table> replica(std::pmr::memory_resource& memory,
                                                     const Table* before) const;

  // Memory held by this table, shared parts counted once. Bytes.
  [[nodiscard]] std::size_t size_bytes() const;
  // Of it the images: what a replica copies. Bytes.
  [[nodiscard]] std::size_t image_bytes() const;
  [[nodiscard]] std::size_t policies() const noexcept { return policies_in_use_; }
  [[nodiscard]] std::size_t load_balancers() const noexcept { return load_balancers_; }
  [[nodiscard]] std::vector<PolicyReport> policy_reports() const;
  // Null: no system rules.
  [[nodiscard]] const SystemIndex* system() const noexcept { return system_.get(); }
  // For tests and reports: `policy` as find_lb gives it.
  [[nodiscard]] const Policy& policy(PolicyIndex policy) const noexcept {
    return *policies_[policy];
  }

 private:
  friend class Compiler;

  // Low halves of the generations of the last change that took something from what is allowed, and
  // of the last one at all.
  struct Changes {
    std::uint32_t narrowed = 0, since = 0;
  };
  // Of an LB: its policy, and changes of which policy it has, and of its addresses.
  struct Ruling {
    PolicyIndex policy;
    Changes changes;
  };

  [[nodiscard]] ImageSet image_set() const noexcept { return {images_.data(), levels_}; }

  std::uint64_t generation_ = 0;
  LookupBatch lookup_ = lookup_batch(best_instruction_set());
  std::shared_ptr<const LbIndex> lb_index_;
  std::shared_ptr<const SystemIndex> system_;  // null: no system rules
  std::uint64_t narrowed_ = 0, changed_ = 0;
  std::vector<Ruling> ruling_of_;                        // by LbPlace
  std::vector<Changes> policy_changes_;                  // of what its groups are
  std::vector<const Line*> images_;                      // policy * 2 + direction; null: no policy
  std::vector<std::shared_ptr<const Policy>> policies_;  // null: free for another policy
  RowLevels levels_;                                     // of the deepest image
  std::size_t policies_in_use_ = 0;
  std::size_t load_balancers_ = 0;
};

}  // namespace sluice::rules
