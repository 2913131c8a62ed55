// SPDX-License-Identifier: Apache-2.0
//
// JSON <-> model. The only place that knows the JSON shape of rules, groups, VPCs and nodes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "rules/model.h"

namespace sluice::rules {

using Json = nlohmann::json;

// Strict: UTF-8, no duplicate keys, nesting to 32, one document and nothing after it.
// Error: invalid, with the problem's `where` as "line:column".
[[nodiscard]] Result<Json> parse_json(std::string_view text);

// A group as POST /security_group/ takes it: {name, description, rules:[…]}. Every problem of the
// whole object is listed ("rules[3].port_range"). Ids are those the input carries, or 0.
// `where` is put before each problem's place ("security_groups[0]." or empty).
[[nodiscard]] Result<Group> group_from_json(const Json& json, const Node& node,
                                            std::string_view where = {});
[[nodiscard]] Result<Vpc> vpc_from_json(const Json& json, std::string_view where = {});

// The API's rule and group objects (API.md). `network_cidr` is First IP, `network_size` Size.
[[nodiscard]] Json rule_to_json(const Rule& rule);
[[nodiscard]] Json group_to_json(const Group& group, bool is_default);
[[nodiscard]] Json vpc_to_json(const Vpc& vpc);

// The whole document of POST /apply/ and of `simulate --node`:
// {vpcs, security_groups, load_balancers:[{name, status, zone, addresses, security_groups:[names]}],
// settings}. Ids are given in the order of the file, from 1.
struct NodeDocument {
  Node node;
  Json settings = Json::object();  // for the dataplane; read by dataplane's settings
};
[[nodiscard]] Result<NodeDocument> node_from_json(const Json& json);

}  // namespace sluice::rules
