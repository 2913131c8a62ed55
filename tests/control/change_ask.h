// SPDX-License-Identifier: Apache-2.0
//
// A change as a client means it, in few words: what the service is sent as JSON and what its twin
// is told.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/change_request.h"
#include "dataplane/snapshot.h"
#include "tests/oracle/random.h"

namespace sluice::tests {

// Kinds: 't' TCP to one port, 'i' ICMP, 'a' all. At most one of `manual` and `vpc` is not 0.
struct AskedRule {
  bool is_inbound = true;
  char kind = 't';
  unsigned port = 0;
  unsigned manual = 0;  // n: 172.16.n.0/24
  unsigned vpc = 0;     // an id; in a document n is the VPC named v<n>
  auto operator<=>(const AskedRule&) const = default;
};

struct AskedVpc {
  std::string name;
  unsigned net = 0;  // 10.<net>.0.0/16
};
struct AskedGroup {
  std::string name;
  std::vector<AskedRule> rules;
  bool is_absent = false;
};
struct AskedLb {
  std::string name;
  std::string zone;
  std::string status;
  std::vector<unsigned> addresses;  // 10.0.0.<n>
  std::vector<std::string> groups;
};
// A section that is not there is left alone.
struct AskedDocument {
  std::optional<std::vector<AskedVpc>> vpcs;
  std::optional<std::vector<AskedGroup>> groups;
  std::optional<std::string> default_group;
  std::optional<std::vector<AskedLb>> lbs;
};

enum class AskKind : std::uint8_t {
  create_group,
  update_group,
  delete_group,
  mark_default,
  create_vpc,
  update_vpc,
  delete_vpc,
  register_lb,
  replace_lb,
  set_status,
  delete_lb,
  attach,
  detach,
  confirm,
  roll_back,
  apply,
};

struct Ask {
  AskKind kind = AskKind::attach;
  unsigned id = 0;  // of the group, VPC, LB or change that it is about
  AskedVpc vpc;
  AskedGroup group;
  AskedLb lb;                    // name, zone, status, addresses
  std::vector<unsigned> groups;  // attach, detach; register_lb: empty for the account's default
  bool as_default = false;       // create_group
  AskedDocument document;
  bool is_malformed = false;  // a field of the body cannot be read
  // Options.
  unsigned expires_in_s = 0;
  unsigned confirm_within_s = 0;
  bool dry_run = false;
  bool has_bad_option = false;
  dataplane::FlowsOnChange flows{};
  std::optional<std::uint64_t> if_match;
};

// Mostly of what is there in `seen`, which may be outdated, so that many are done and many not.
[[nodiscard]] Ask random_ask(oracle::Random& random, const control::State& seen);

// As the API would make it of a body; `path` finds it again in the audit.
[[nodiscard]] control::ChangeRequest request_of(const Ask& ask, std::string path);

}  // namespace sluice::tests
