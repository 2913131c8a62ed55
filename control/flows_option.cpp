// SPDX-License-Identifier: Apache-2.0
#include "control/flows_option.h"

#include <fmt/format.h>

#include <charconv>

namespace sluice::control {

using dataplane::FlowFate;
using dataplane::FlowsOnChange;

FlowsOnChange read_flows(const rules::Json& body, std::vector<rules::Problem>& problems) {
  rules::FieldReader fields(body, "", problems);
  const auto text = fields.text("flows");
  if (!text || *text == "cut") return {};
  if (*text == "keep") return {FlowFate::keep, 0};
  constexpr std::string_view kDrain = "drain:";
  if (text->starts_with(kDrain)) {
    std::uint32_t seconds = 0;
    const char* end = text->data() + text->size();
    const auto [stop, error] = std::from_chars(text->data() + kDrain.size(), end, seconds);
    if (stop == end && error == std::errc{} && seconds >= 1 && seconds <= kDrainMax)
      return {FlowFate::drain, seconds};
  }
  fields.problem("flows",
                 fmt::format("\"{}\" is none of cut, keep and drain:SECONDS, where SECONDS is a "
                             "number from 1 to {}",
                             *text, kDrainMax));
  return {};
}

rules::Json fates_to_json(const dataplane::FateCounts& fates) {
  return {{"cut", fates.cut},
          {"kept", fates.kept},
          {"draining", fates.draining},
          {"complete", fates.complete != 0}};
}

}  // namespace sluice::control
