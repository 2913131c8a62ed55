// SPDX-License-Identifier: Apache-2.0
//
// The list of groups as JSON text, each group written anew only when it changed: a thousand groups
// of ten rules are two megabytes, and clients ask for them again and again.
//
// Owner: one thread. Cost: the text of each group, kept until it goes.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "control/state.h"

namespace sluice::control {

class GroupTexts {
 public:
  // "[{…},{…}]": list_groups(state), dumped.
  [[nodiscard]] std::string list(const State& state);

 private:
  struct Text {
    std::shared_ptr<const rules::Group> group;
    bool is_default = false;
    std::string json;
  };
  std::map<rules::GroupId, Text> texts_;
};

}  // namespace sluice::control
