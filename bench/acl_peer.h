// SPDX-License-Identifier: Apache-2.0
//
// The peer of table benchmarks: rte_acl over the same rules and keys, with its best algorithm.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "tests/oracle/workload.h"

struct rte_acl_ctx;

namespace sluice::bench {

// One context for all LBs of the node (an LB is a field of the key), or one for each.
enum class AclContexts : std::uint8_t { one, one_per_lb };

class AclPeer {
 public:
  // Inbound rules of one family; networks must be prefixes. None: rte_acl refuses them.
  [[nodiscard]] static std::optional<AclPeer> build(const oracle::Workload& work,
                                                    rules::Family family, AclContexts contexts);

  // Keys as rte_acl reads them, in the order of `work.keys`; built once, not timed.
  void load_keys(const oracle::Workload& work);
  // Classifies keys [first, first + count) into results (1: allowed). Contexts of their own: the
  // burst is grouped by LB first, as a data plane would have to.
  void classify(std::size_t first, std::size_t count, std::uint32_t* results);

  [[nodiscard]] double build_seconds() const { return build_seconds_; }

 private:
  struct Key {
    std::uint8_t protocol;
    std::uint8_t spare[3];
    std::uint32_t address[4];  // network order; IPv4: [0]
    std::uint16_t service;     // network order
    std::uint16_t zero;
    std::uint32_t lb;
  };
  struct FreeContext {
    void operator()(rte_acl_ctx* context) const;
  };
  using Context = std::unique_ptr<rte_acl_ctx, FreeContext>;

  void classify_grouped(std::size_t first, std::size_t count, std::uint32_t* results);
  [[nodiscard]] static Context build_context(const std::vector<rules::LbId>& lbs,
                                             const oracle::Workload& work, rules::Family family,
                                             bool with_lb);

  std::vector<Context> contexts_;  // one, or by LB id less 1
  std::vector<Key> keys_;
  std::vector<rules::LbId> lb_of_key_;
  double build_seconds_ = 0;
};

}  // namespace sluice::bench
