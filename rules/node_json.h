// SPDX-License-Identifier: Apache-2.0
//
// The node document: VPCs, groups and load balancers that refer to each other by name, as
// `sluicectl check`, `simulate` and `apply` take it and `export` gives it.
//
//   {"vpcs": [{vpc_name, cidrs}],
//    "security_groups": [{name, description, is_all_traffic_rule, rules} or {name, absent: true}],
//    "default_group": NAME,           what load balancers to come get
//    "load_balancers": [{name, status, zone, addresses: [IP or {address, kind}],
//                        security_groups: [NAME], default_group: NAME, registration: {…}}],
//    "settings": {…}}                 for offline use; a daemon has options
//
// A document is read over a node. Names are identities: what it names keeps the id it has there,
// rules keep theirs as in an update, and what does not change stays the very same value. A section
// that is there is the whole of it: what it does not name is gone, except the built-in groups,
// which go where the document says {name, absent: true}. A section that is absent is left alone,
// and so are status, zone, addresses, groups and registration of a load balancer that stood there.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "rules/json.h"

namespace sluice::rules {

// What a document is read over.
struct NodeBase {
  Node node;
  GroupId next_group = 1;
  RuleId next_rule = 1;
  LbId next_lb = 1;
  VpcId next_vpc = 1;
  // A node in service: zones must be among these, a load balancer has a group, and names must not
  // read as ids yet to come. Empty: a document that stands for itself, of whatever zones.
  std::vector<std::string> zones;
};
// The built-in groups and nothing else.
[[nodiscard]] NodeBase empty_node();

struct NodeReading {
  NodeBase after;                        // as far as it could be read, where there are problems
  Json settings = Json::object();        // for the data plane
  std::map<LbId, std::size_t> lb_place;  // load_balancers[i]
  std::map<GroupId, std::size_t> group_place;  // security_groups[i]
  std::vector<Problem> problems;
};
[[nodiscard]] NodeReading read_node(const Json& json, const NodeBase& base);

// A document that stands for itself. Error: invalid, every problem.
struct NodeDocument {
  Node node;
  Json settings = Json::object();
};
[[nodiscard]] Result<NodeDocument> node_from_json(const Json& json);

// The document that makes a node like this one; read over this one it changes nothing. Sorted by
// name.
[[nodiscard]] Json node_to_json(const Node& node);

}  // namespace sluice::rules
