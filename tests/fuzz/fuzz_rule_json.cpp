// SPDX-License-Identifier: Apache-2.0
//
// Rule JSON: whatever is accepted must compile or be refused, and print to what reads the same;
// whatever is refused has a reason, and a place inside the text.
#include <cstdlib>
#include <string_view>

#include "rules/compile.h"
#include "rules/json.h"
#include "rules/json_place.h"
#include "rules/node_json.h"
#include "rules/printable.h"
#include "rules/validate.h"

using namespace sluice;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check_refusal(std::string_view text, const rules::Error& error) {
  require(!error.problems.empty() && !error.message.empty());
  const auto placed = rules::place(text, error.problems);
  require(placed.size() == error.problems.size());
  for (std::size_t i = 0; i < placed.size(); ++i) {
    require(!placed[i].problem.message.empty());
    require(i == 0 || placed[i - 1].at <= placed[i].at);
    require(placed[i].at.column <= placed[i].line.size() + 2);
    const std::string shown = rules::diagnostic("fuzz", placed[i]);
    for (std::size_t at = 0; at < shown.size();) {
      const rules::CodePoint point = rules::code_point_at(shown, at);
      require(shown[at] == '\n' || rules::is_printable(point));
      at += point.bytes;
    }
  }
}

// An update with what was answered changes no identity.
void check_identities(rules::Group first) {
  rules::RuleId next = 1;
  rules::keep_identities(nullptr, first, next);
  rules::Group second = first;
  for (rules::Rule& rule : second.rules) rule.id = rule.id % 2 == 0 ? rule.id : 0;
  const rules::RuleId before = next;
  rules::keep_identities(&first, second, next);
  require(next == before && second.rules.size() == first.rules.size());
}

void check_group(std::string_view text, const rules::Json& json) {
  rules::Node node;
  node.vpcs[5] = std::make_shared<const rules::Vpc>(
      rules::Vpc{5, "prod", {{rules::Address::ipv4(0x0a080000), 16}}});
  const auto group = rules::group_from_json(json, node);
  if (!group) return check_refusal(text, group.error());
  const auto again = rules::group_from_json(rules::group_to_json(*group, false), node);
  require(again && again->rules == group->rules);
  check_identities(*group);
}

void check_node(std::string_view text, const rules::Json& json) {
  const auto document = rules::node_from_json(json);
  if (!document) return check_refusal(text, document.error());
  const std::vector<std::string> zones{""};
  const auto table = rules::Compiler().compile(document->node, zones, 1);
  if (table) (void)(*table)->size_bytes();
  // What it says of itself is what it is.
  const auto again = rules::node_from_json(rules::node_to_json(document->node));
  require(again && rules::node_to_json(again->node) == rules::node_to_json(document->node));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const auto json = rules::parse_json(text);
  if (!json) {
    check_refusal(text, json.error());
    return 0;
  }
  check_group(text, *json);
  check_node(text, *json);
  return 0;
}
