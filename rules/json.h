// SPDX-License-Identifier: Apache-2.0
//
// JSON <-> model. The only place that knows the JSON shape of rules, groups and VPCs; that of
// whole nodes is in node_json.h.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rules/json_parse.h"
#include "rules/model.h"

namespace sluice::rules {

// A group as POST /security_group/ takes it: {name, description, rules:[…]}. Every problem of the
// whole object is listed ("rules[3].port_range"). Rule ids are those the input carries, or 0.
// VPCs that rules name are looked up in `node`.
// `where` is put before each problem's place ("security_groups[0]." or empty).
[[nodiscard]] Result<Group> group_from_json(const Json& json, const Node& node,
                                            std::string_view where = {});
// One rule of such a list, which stands at `where` ("rules[3]"). Nothing: its problems were added.
[[nodiscard]] std::optional<Rule> rule_from_json(const Json& json, const Node& node,
                                                 const std::string& where,
                                                 std::vector<Problem>& problems);
[[nodiscard]] Result<Vpc> vpc_from_json(const Json& json, std::string_view where = {});

// The VPC that `text` names: "vpc_5" or "5" by id, then by name.
[[nodiscard]] std::optional<VpcId> find_vpc(const Node& node, std::string_view text);
// A name that reads as the id, to id_max, of another VPC: a rule that says it would mean one of two
// networks.
[[nodiscard]] std::optional<Problem> vpc_name_reads_as_id(const Vpc& vpc, VpcId id_max);

// The API's rule and group objects (API.md). `network_cidr` is First IP, `network_size` Size.
[[nodiscard]] Json rule_to_json(const Rule& rule);
[[nodiscard]] Json group_to_json(const Group& group, bool is_default);
// The same, as text behind `text`: that of group_to_json(), byte by byte, without a Json made of
// it.
void append_group_json(const Group& group, bool is_default, std::string& text);
[[nodiscard]] Json vpc_to_json(const Vpc& vpc);

// Reads fields of one object and gathers the problems of all of them.
class FieldReader {
 public:
  FieldReader(const Json& object, std::string where, std::vector<Problem>& problems);

  // Absent and null are the same. A wrong type is a problem and reads as absent.
  [[nodiscard]] bool has(std::string_view name) const;
  [[nodiscard]] bool is_one(std::string_view name) const;  // 1 or "1"
  std::optional<std::string> text(std::string_view name);
  std::optional<bool> boolean(std::string_view name);
  // A JSON number or its decimal digits as a string; 0 .. max.
  std::optional<std::uint64_t> number(std::string_view name, std::uint64_t max);
  // Numbers as digits, texts as they are: for fields that clients send as either.
  std::optional<std::string> digits_or_text(std::string_view name);
  const Json* array(std::string_view name);

  // Every member must be one of `names`.
  void refuse_others(std::initializer_list<std::string_view> names);
  void problem(std::string_view name, std::string message);
  // The value, or its error noted as a problem of `name`.
  template <class T>
  std::optional<T> take(std::string_view name, Result<T> result) {
    if (result) return std::move(*result);
    problem(name, result.error().message);
    return std::nullopt;
  }
  [[nodiscard]] std::string place(std::string_view name) const;

 private:
  const Json* find(std::string_view name) const;
  const Json& object_;
  std::string where_;  // "rules[3]." or empty
  std::vector<Problem>& problems_;
};

// The problems as an Error; the first of them stands in the message.
[[nodiscard]] Error refusal(std::vector<Problem> problems, ErrorCode code = ErrorCode::invalid);

}  // namespace sluice::rules
