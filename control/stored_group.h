// SPDX-License-Identifier: Apache-2.0
//
// Groups and VPCs as they are stored: the API's objects, with the ids beside them.
#pragma once

#include "rules/json.h"

namespace sluice::control {

[[nodiscard]] rules::Result<rules::Group> stored_group_from_json(const rules::Json& json,
                                                                 rules::GroupId id,
                                                                 const rules::Node& node);
[[nodiscard]] rules::Result<rules::Vpc> stored_vpc_from_json(const rules::Json& json,
                                                             rules::VpcId id);

}  // namespace sluice::control
