// SPDX-License-Identifier: Apache-2.0
//
// Rule JSON: whatever is accepted must compile or be refused, and print to what reads the same.
#include <cstdlib>
#include <string_view>

#include "rules/compile.h"
#include "rules/json.h"

using namespace sluice;

namespace {

void check_group(std::string_view text, const rules::Json& json) {
  const auto group = rules::group_from_json(json, {});
  if (!group) {
    for (const auto& problem : group.error().problems)
      (void)rules::diagnostic("fuzz", text, problem);
    return;
  }
  const auto again = rules::group_from_json(rules::group_to_json(*group, false), {});
  if (!again || !(again->rules == group->rules)) std::abort();
}

void check_node(std::string_view text, const rules::Json& json) {
  const auto document = rules::node_from_json(json);
  if (!document) {
    for (const auto& problem : document.error().problems)
      (void)rules::diagnostic("fuzz", text, problem);
    return;
  }
  const std::vector<std::string> zones{""};
  const auto table = rules::Compiler().compile(document->node, zones, 1);
  if (table) (void)(*table)->size_bytes();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const auto json = rules::parse_json(text);
  if (!json) {
    (void)rules::diagnostic("fuzz", text, json.error().problems.at(0));
    return 0;
  }
  check_group(text, *json);
  check_node(text, *json);
  return 0;
}
