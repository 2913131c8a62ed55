// SPDX-License-Identifier: Apache-2.0
#include "control/drop_history.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>

#include "control/observe_json.h"
#include "dataplane/frame_headers.h"
#include "dataplane/trace.h"
#include "rules/validate.h"

namespace sluice::control {
namespace {

using dataplane::DropReason;
using dataplane::DropRecord;
using rules::Json;

// "2026-01-02T03:04:05.678Z"
std::string time_text(std::uint64_t ns) {
  const auto seconds = static_cast<std::time_t>(ns / 1'000'000'000);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(seconds), ns / 1'000'000 % 1000);
}

std::string hex_of(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

Json headers_json(const dataplane::FrameHeaders& headers) {
  const auto or_null = [](const auto& value) { return value ? Json(*value) : Json(); };
  const auto text_or_null = [](const auto& value) {
    return value ? Json(to_string(*value)) : Json();
  };
  Json json{{"ethertype", headers.ethertype},
            {"vlans", headers.vlans},
            {"source", text_or_null(headers.source)},
            {"destination", text_or_null(headers.destination)},
            {"protocol", headers.protocol ? Json(protocol_name(*headers.protocol)) : Json()},
            {"source_port", or_null(headers.source_port)},
            {"destination_port", or_null(headers.destination_port)},
            {"icmp_type", or_null(headers.icmp_type)},
            {"icmp_code", or_null(headers.icmp_code)},
            {"tcp_flags", Json()},
            {"fragment_offset", Json()}};
  if (headers.tcp_flags) json["tcp_flags"] = dataplane::tcp_flags_text(*headers.tcp_flags);
  if (headers.is_fragment()) json["fragment_offset"] = headers.fragment_offset_bytes;
  return json;
}

// Where the rules had their say. By the time it is asked they may have changed.
Json nearest_json(const DropRecord& record, const dataplane::Snapshot& snapshot) {
  const bool is_of_rules =
      record.reason == DropReason::no_rule || record.reason == DropReason::icmp_unrelated;
  if (!is_of_rules) return nullptr;
  const auto view =
      dataplane::rules_view(snapshot, record.bytes(), record.size_bytes, record.side, record.zone);
  if (!view) return nullptr;
  const auto explanation = dataplane::explain(*snapshot.table, *view);
  if (!explanation.nearest) return nullptr;
  return nearest_miss_json(*explanation.nearest, view->key);
}

Json drop_json(std::uint64_t id, const DropRecord& record, const dataplane::Snapshot& snapshot,
               const State& state) {
  const auto headers = dataplane::read_headers(record.bytes());
  Json json{{"id", id},
            {"time", time_text(record.time_ns)},
            {"reason", to_string(record.reason)},
            {"direction", rules::to_string(direction_of(record))},
            {"lb_id", record.lb == 0 ? Json() : Json(record.lb)},
            {"lb_name", lb_name_json(state, record.lb)},
            {"packet", dataplane::describe(headers)},
            {"headers", headers_json(headers)},
            {"size_bytes", record.size_bytes},
            {"head", hex_of(record.bytes())},
            {"zone", record.zone == dataplane::kNoZone ? Json() : Json(record.zone)},
            {"worker", record.worker},
            {"generation", record.generation},
            {"nearest_miss", nearest_json(record, snapshot)}};
  const auto reason = static_cast<std::size_t>(record.reason);
  json["sentence"] = dataplane::kDropReasonTexts[reason].sentence;
  return json;
}

}  // namespace

rules::Direction direction_of(const DropRecord& record) {
  return record.side == dataplane::Side::outside ? rules::Direction::inbound
                                                 : rules::Direction::outbound;
}

bool DropFilter::wants(const DropRecord& record) const {
  return (!lb || *lb == record.lb) && (!reason || *reason == record.reason) &&
         (!direction || *direction == direction_of(record));
}

// Numbers begin at the time in microseconds: nobody drops and records more than a million packets
// a second for long.
DropHistory::DropHistory()
    : last_id_(static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                              std::chrono::system_clock::now().time_since_epoch())
                                              .count())) {}

std::shared_ptr<const Drop> DropHistory::add(const DropRecord& record,
                                             const dataplane::Snapshot& snapshot,
                                             const State& state) {
  std::uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    id = ++last_id_;
  }
  auto drop =
      std::make_shared<const Drop>(Drop{id, record, drop_json(id, record, snapshot, state)});
  const std::lock_guard lock(mutex_);
  drops_.push_back(drop);
  if (drops_.size() > kDropsKept) drops_.pop_front();
  return drop;
}

std::vector<std::shared_ptr<const Drop>> DropHistory::recent(const DropFilter& filter,
                                                             std::size_t limit) const {
  std::vector<std::shared_ptr<const Drop>> found;
  const std::lock_guard lock(mutex_);
  for (auto drop = drops_.rbegin(); drop != drops_.rend() && found.size() < limit; ++drop)
    if (filter.wants((*drop)->record)) found.push_back(*drop);
  return found;
}

}  // namespace sluice::control
