// SPDX-License-Identifier: Apache-2.0
#include "control/stored_group.h"

namespace sluice::control {

rules::Result<rules::Group> stored_group_from_json(const rules::Json& json, rules::GroupId id,
                                                   const rules::Node& node) {
  auto group = rules::group_from_json(json, node);
  if (!group) return group;
  group->id = id;
  group->is_all_traffic_rule = json.value("is_all_traffic_rule", false);
  return group;
}

rules::Result<rules::Vpc> stored_vpc_from_json(const rules::Json& json, rules::VpcId id) {
  auto vpc = rules::vpc_from_json(json);
  if (vpc) vpc->id = id;
  return vpc;
}

}  // namespace sluice::control
