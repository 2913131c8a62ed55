// SPDX-License-Identifier: Apache-2.0
#include "control/group_texts.h"

#include "rules/json.h"

namespace sluice::control {

std::string GroupTexts::list(const State& state) {
  std::erase_if(texts_, [&](const auto& text) { return !state.node.groups.contains(text.first); });
  std::string list = "[";
  for (const auto& [id, group] : state.node.groups) {
    const bool is_default = id == state.node.account_default_group;
    Text& text = texts_[id];
    if (text.group != group || text.is_default != is_default) {
      text = {group, is_default, {}};
      rules::append_group_json(*group, is_default, text.json);
    }
    if (list.size() > 1) list += ',';
    list += text.json;
  }
  return list + ']';
}

}  // namespace sluice::control
