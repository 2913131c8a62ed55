// SPDX-License-Identifier: Apache-2.0
//
// Rules and groups as JSON: a value, or straight its text, which is what lists of thousands are
// made of. The shape stands here once; both ways of writing it are given its fields in the order
// of their names, which is that of a Json.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "rules/json.h"
#include "rules/validate.h"

namespace sluice::rules {
namespace {

// Into a Json object.
class ValueFields {
 public:
  template <class T>
  void operator()(const char* name, const T& value) {
    json[name] = value;
  }
  void operator()(const char* name, const std::optional<std::uint8_t>& value) {
    json[name] = value ? Json(*value) : Json(nullptr);
  }
  Json json = Json::object();
};

void append_text(std::string& text, std::string_view value) {
  const bool is_plain = std::all_of(value.begin(), value.end(), [](char c) {
    return c >= ' ' && c <= '~' && c != '"' && c != '\\';
  });
  if (is_plain) {
    text += '"';
    text += value;
    text += '"';
  } else {
    text += Json(value).dump(-1, ' ', false, Json::error_handler_t::replace);
  }
}

// Behind a text, as "name":value pairs with commas between.
class TextFields {
 public:
  explicit TextFields(std::string& text) : text_(text) {}

  void operator()(const char* name, std::string_view value) {
    begin(name);
    append_text(text_, value);
  }
  void operator()(const char* name, const char* value) { (*this)(name, std::string_view(value)); }
  void operator()(const char* name, std::uint64_t value) {
    begin(name);
    append_number(value);
  }
  void operator()(const char* name, std::uint32_t value) { (*this)(name, std::uint64_t{value}); }
  void operator()(const char* name, bool value) {
    begin(name);
    text_ += value ? "true" : "false";
  }
  void operator()(const char* name, std::nullptr_t) {
    begin(name);
    text_ += "null";
  }
  void operator()(const char* name, const std::optional<std::uint8_t>& value) {
    value ? (*this)(name, std::uint64_t{*value}) : (*this)(name, nullptr);
  }
  void begin(const char* name) {
    if (!is_first_) text_ += ',';
    is_first_ = false;
    text_ += '"';
    text_ += name;
    text_ += "\":";
  }

 private:
  void append_number(std::uint64_t value) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
    text_.append(digits, end);
  }
  std::string& text_;
  bool is_first_ = true;
};

template <class Fields>
void write_size(const AddressRange& range, Fields& fields) {
  const Uint128 less_one = range.last.value() - range.first.value();
  // 2^53 is where readers that keep numbers as doubles begin to lose the last digits.
  if (less_one < (Uint128{1} << 53)) {
    fields("network_size", static_cast<std::uint64_t>(less_one) + 1);
  } else {
    fields("network_size", size_text(range));
  }
}

template <class Fields>
void write_rule(const Rule& rule, Fields& fields) {
  fields("description", rule.description);
  fields("icmp_code", rule.icmp_code);
  fields("icmp_type", rule.icmp_type);
  fields("id", rule.id);
  const Network& network = rule.network;
  if (network.type == NetworkType::manual) {
    fields("network", "manual");
    fields("network_cidr", to_string(network.range.first));
    write_size(network.range, fields);
  } else {
    fields("network", network.type == NetworkType::any ? "any" : "myNetwork");
    fields("network_cidr", "--");
    fields("network_size", std::uint64_t{1});
  }
  fields("port_range", to_string(rule.ports));
  fields("protocol_name", to_string(rule.protocol));
  fields("rule_type", to_string(rule.direction));
  if (network.type == NetworkType::my_network) {
    fields("vpc_id", fmt::format("vpc_{}", network.vpc));
  } else {
    fields("vpc_id", nullptr);
  }
}

// All but its rules, whose name comes last.
template <class Fields>
void write_group(const Group& group, bool is_default, Fields& fields) {
  fields("description", group.description);
  fields("id", group.id);
  fields("is_all_traffic_rule", group.is_all_traffic_rule);
  fields("is_default", is_default);
  fields("name", group.name);
}

}  // namespace

Json rule_to_json(const Rule& rule) {
  ValueFields fields;
  write_rule(rule, fields);
  return std::move(fields.json);
}

Json group_to_json(const Group& group, bool is_default) {
  ValueFields fields;
  write_group(group, is_default, fields);
  Json& rules = fields.json["rules"] = Json::array();
  for (const Rule& rule : group.rules) rules.push_back(rule_to_json(rule));
  return std::move(fields.json);
}

void append_group_json(const Group& group, bool is_default, std::string& text) {
  text += '{';
  TextFields fields(text);
  write_group(group, is_default, fields);
  fields.begin("rules");
  text += '[';
  for (const Rule& rule : group.rules) {
    text += &rule == group.rules.data() ? "{" : ",{";
    TextFields rule_fields(text);
    write_rule(rule, rule_fields);
    text += '}';
  }
  text += "]}";
}

}  // namespace sluice::rules
