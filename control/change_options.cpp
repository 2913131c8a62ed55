// SPDX-License-Identifier: Apache-2.0
#include "control/change_options.h"

#include <fmt/format.h>

namespace sluice::control {
namespace {

std::optional<std::uint32_t> seconds(rules::FieldReader& fields, const char* name,
                                     std::uint32_t max, std::vector<rules::Problem>& problems) {
  const std::size_t before = problems.size();
  const auto value = fields.number(name, max);
  const bool is_wrong = problems.size() != before || (value && *value == 0);
  if (!is_wrong) return value ? std::optional(static_cast<std::uint32_t>(*value)) : std::nullopt;
  problems.resize(before);
  fields.problem(name, fmt::format("must be a number of seconds from 1 to {}", max));
  return std::nullopt;
}

}  // namespace

ChangeOptions read_change_options(const rules::Json& body, std::vector<rules::Problem>& problems) {
  ChangeOptions options;
  if (!body.is_object()) return options;
  rules::FieldReader fields(body, "", problems);
  options.dry_run = fields.boolean("dry_run").value_or(false);
  options.expires_in_s = seconds(fields, "expires_in", kExpiresInMax, problems);
  options.confirm_within_s = seconds(fields, "confirm_within", kConfirmWithinMax, problems);
  options.flows = read_flows(body, problems);
  if (options.expires_in_s && options.confirm_within_s &&
      *options.expires_in_s <= *options.confirm_within_s) {
    fields.problem("expires_in",
                   fmt::format("must be more than confirm_within ({}), or the attachment ends "
                               "before it is known to stay",
                               *options.confirm_within_s));
  }
  return options;
}

}  // namespace sluice::control
