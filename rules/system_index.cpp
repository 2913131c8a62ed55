// SPDX-License-Identifier: Apache-2.0
#include "rules/system_index.h"

#include <algorithm>

namespace sluice::rules {
namespace {

std::vector<ServiceSpan> merged(std::vector<ServiceSpan> spans) {
  std::sort(spans.begin(), spans.end());
  std::vector<ServiceSpan> out;
  for (const ServiceSpan& span : spans) {
    if (!out.empty() && out.back().axis == span.axis &&
        span.first <= std::uint32_t{out.back().last} + 1) {
      out.back().last = std::max(out.back().last, span.last);
    } else {
      out.push_back(span);
    }
  }
  return out;
}

// What of a span is left beside the taken ones, which are sorted and apart.
void append_rest(std::vector<ServiceSpan>& out, const ServiceSpan& span,
                 const std::vector<ServiceSpan>& taken) {
  std::uint32_t first = span.first;
  for (const ServiceSpan& part : taken) {
    if (part.axis != span.axis || part.last < first || part.first > span.last) continue;
    if (part.first > first)
      out.push_back({span.axis, static_cast<std::uint16_t>(first),
                     static_cast<std::uint16_t>(part.first - 1)});
    first = std::uint32_t{part.last} + 1;
  }
  if (first <= span.last) out.push_back({span.axis, static_cast<std::uint16_t>(first), span.last});
}

std::shared_ptr<const Group> group_in(const std::shared_ptr<const SystemRules>& rules) {
  return {rules, &rules->group};
}

}  // namespace

SystemIndex::SystemIndex(std::shared_ptr<const SystemRules> rules, std::uint32_t generation)
    : index_(ResolvedGroup{group_in(rules), {}}, generation, nullptr) {
  for (const Rule& rule : rules->group.rules) {
    if (!rules->reserving.contains(rule.id)) continue;
    auto& spans = reserved_[static_cast<std::size_t>(rule.direction)];
    const auto more = service_spans(rule);
    spans.insert(spans.end(), more.begin(), more.end());
  }
  for (auto& spans : reserved_) spans = merged(std::move(spans));
}

bool SystemIndex::reserves(const PacketKey& key) const noexcept {
  const ServicePoint point = service_point(key.protocol, key.service);
  const auto& spans = reserved_[static_cast<std::size_t>(key.direction)];
  return std::any_of(spans.begin(), spans.end(), [&](const ServiceSpan& span) {
    return span.axis == point.axis && span.first <= point.number && point.number <= span.last;
  });
}

std::vector<ServiceSpan> SystemIndex::left_of(std::vector<ServiceSpan> spans,
                                              Direction direction) const {
  const auto& taken = reserved_[static_cast<std::size_t>(direction)];
  if (taken.empty()) return spans;
  std::vector<ServiceSpan> rest;
  for (const ServiceSpan& span : spans) append_rest(rest, span, taken);
  return rest;
}

}  // namespace sluice::rules
