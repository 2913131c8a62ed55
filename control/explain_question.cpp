// SPDX-License-Identifier: Apache-2.0
#include "control/explain_question.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "control/observe_json.h"
#include "rules/iana_protocols.h"
#include "rules/printable.h"
#include "rules/validate.h"

namespace sluice::control {
namespace {

using dataplane::DropReason;
using dataplane::TraceQuestion;
using rules::Direction;
using rules::ErrorCode;
using rules::fail;
using rules::Family;
using rules::FieldReader;
using rules::Json;
using rules::Result;

constexpr std::size_t kRulesShown = 100;
constexpr std::uint16_t kAnyPort = 49'152;  // the first of the dynamic ones (RFC 6335)

bool has_ports(std::uint8_t protocol) {
  return protocol == rules::kProtocolTcp || protocol == rules::kProtocolUdp ||
         protocol == rules::kProtocolSctp;
}
bool is_icmp(std::uint8_t protocol) {
  return protocol == rules::kProtocolIcmp || protocol == rules::kProtocolIcmpv6;
}

std::optional<Direction> read_direction(FieldReader& fields) {
  const auto text = fields.text("direction");
  if (text && rules::equals_ignoring_case(*text, "inbound")) return Direction::inbound;
  if (text && rules::equals_ignoring_case(*text, "outbound")) return Direction::outbound;
  if (text) {
    fields.problem("direction",
                   fmt::format("{} is neither inbound nor outbound", rules::quote(*text)));
  } else if (!fields.has("direction")) {
    fields.problem("direction", "missing: inbound or outbound");
  }
  return std::nullopt;
}

std::optional<rules::Address> read_address(FieldReader& fields, const char* name) {
  const auto text = fields.text(name);
  if (!text) return std::nullopt;
  return fields.take(name, rules::parse_address(*text));
}

// The LB's own address: as given, or its first of that family.
void read_local(FieldReader& fields, const rules::LoadBalancer* lb,
                const std::optional<rules::Address>& remote, TraceQuestion& packet) {
  const bool is_given = fields.has("local");
  if (const auto local = read_address(fields, "local")) {
    packet.local = *local;
    if (remote && remote->family != local->family)
      fields.problem("local", "must be of the same family as remote");
    if (lb != nullptr &&
        std::none_of(lb->addresses.begin(), lb->addresses.end(),
                     [&](const rules::LbAddress& owned) { return owned.address == *local; }))
      fields.problem("local", fmt::format("is no address of load balancer {}", lb->name));
  } else if (!is_given && lb != nullptr && remote) {
    const auto own = std::find_if(
        lb->addresses.begin(), lb->addresses.end(),
        [&](const rules::LbAddress& owned) { return owned.address.family == remote->family; });
    if (own != lb->addresses.end()) {
      packet.local = own->address;
    } else {
      fields.problem("remote", fmt::format("load balancer {} has no {} address", lb->name,
                                           remote->family == Family::ipv4 ? "IPv4" : "IPv6"));
    }
  }
}

std::optional<std::uint16_t> read_port(FieldReader& fields, const char* name) {
  const auto port = fields.number(name, 65'535);
  if (!port) return std::nullopt;
  return static_cast<std::uint16_t>(*port);
}

// The destination's port is what rules look at; the other one may be left out.
void read_ports(FieldReader& fields, std::optional<Direction> direction,
                std::optional<std::uint8_t> protocol, ExplainQuestion& question) {
  const auto local = read_port(fields, "local_port");
  const auto remote = read_port(fields, "remote_port");
  question.packet.local_port = local.value_or(kAnyPort);
  question.packet.remote_port = remote.value_or(kAnyPort);
  if (!protocol) return;
  question.names_a_flow = has_ports(*protocol) ? local && remote : !is_icmp(*protocol);
  if (!has_ports(*protocol)) {
    for (const char* name : {"local_port", "remote_port"})
      if (fields.has(name))
        fields.problem(name, fmt::format("{} has no ports", protocol_name(*protocol)));
    return;
  }
  if (!direction) return;
  const char* destination = *direction == Direction::inbound ? "local_port" : "remote_port";
  if (!fields.has(destination))
    fields.problem(destination, "missing: the destination port, which the rules look at");
}

void read_icmp(FieldReader& fields, std::optional<std::uint8_t> protocol, TraceQuestion& packet) {
  const auto type = fields.number("icmp_type", 255);
  const auto code = fields.number("icmp_code", 255);
  if (!protocol) return;
  if (!is_icmp(*protocol)) {
    for (const char* name : {"icmp_type", "icmp_code"})
      if (fields.has(name))
        fields.problem(name, fmt::format("{} has no ICMP types", protocol_name(*protocol)));
    return;
  }
  const std::uint8_t request = *protocol == rules::kProtocolIcmp ? 8 : 128;
  packet.icmp_type = static_cast<std::uint8_t>(type.value_or(request));
  packet.icmp_code = static_cast<std::uint8_t>(code.value_or(0));
}

std::optional<std::uint8_t> read_protocol(FieldReader& fields,
                                          const std::optional<rules::Address>& remote) {
  const auto text = fields.digits_or_text("protocol");
  if (text)
    return fields.take("protocol", protocol_number(*text, remote ? remote->family : Family::ipv4));
  if (!fields.has("protocol")) fields.problem("protocol", "missing: TCP, UDP, ICMP, … or a number");
  return std::nullopt;
}

Json allowing_json(const rules::Explanation& explanation) {
  Json list = Json::array();
  for (const auto& found : explanation.allowing) {
    if (list.size() == kRulesShown) break;
    list.push_back(found_rule_json(found));
  }
  return list;
}

// The connection that the packet would belong to, if there is one.
Json live_flow_json(const ExplainQuestion& question, Publisher& publisher,
                    const rules::Table& table) {
  if (!question.names_a_flow) return nullptr;
  const TraceQuestion& packet = question.packet;
  const bool ports = has_ports(packet.protocol);
  const dataplane::FlowKey key{packet.local.high,
                               packet.local.low,
                               packet.remote.high,
                               packet.remote.low,
                               ports ? packet.local_port : std::uint16_t{0},
                               ports ? packet.remote_port : std::uint16_t{0},
                               packet.zone,
                               packet.protocol,
                               packet.local.family};
  const auto flow = publisher.dataplane().flow(key);
  if (!flow) return nullptr;
  Json json = flow_json(*flow, *publisher.state(), table, publisher.zones());
  json["sentence"] = fmt::format(
      "There is a live connection ({}, opened {}): packets that fit it {}, and no rule is asked.",
      to_string(flow->state),
      flow->opener == Direction::inbound ? "from outside" : "by the load balancer",
      flow->outlook == dataplane::FlowOutlook::cut ? "end it, as the rules no longer allow it"
                                                   : "pass");
  return json;
}

std::string sentence_of(const dataplane::Traced& traced, const rules::Explanation& explanation) {
  const DropReason reason = traced.verdict.reason;
  const std::string rules_say =
      traced.rules ? rules::sentence_of(explanation, traced.rules->key) : "";
  if (reason == DropReason::no_rule) return rules_say;
  if (reason == DropReason::none)
    return traced.verdict.rule.rule != 0 ? rules_say : "It passes, and no rule is asked.";
  return fmt::format("Dropped: {}.{}{}",
                     dataplane::kDropReasonTexts[static_cast<std::size_t>(reason)].sentence,
                     rules_say.empty() ? "" : " Of the rules: ", rules_say);
}

}  // namespace

std::optional<rules::LbId> find_lb_by_word(const State& state, std::string_view word) {
  rules::LbId id = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
  if (error == std::errc{} && end == word.data() + word.size() &&
      state.node.load_balancers.contains(id))
    return id;
  for (const auto& [known, lb] : state.node.load_balancers)
    if (lb->name == word) return known;
  return std::nullopt;
}

Result<std::uint8_t> protocol_number(std::string_view text, Family family) {
  const auto protocol = rules::parse_protocol(text);
  if (!protocol) return tl::unexpected(protocol.error());
  switch (protocol->kind) {
    case rules::ProtocolKind::all:
      return fail(ErrorCode::invalid, "All is no protocol of a packet; name one, such as TCP");
    case rules::ProtocolKind::all_tcp:
    case rules::ProtocolKind::custom_tcp:
      return rules::kProtocolTcp;
    case rules::ProtocolKind::all_udp:
    case rules::ProtocolKind::custom_udp:
      return rules::kProtocolUdp;
    case rules::ProtocolKind::icmp:
      return family == Family::ipv4 ? rules::kProtocolIcmp : rules::kProtocolIcmpv6;
    case rules::ProtocolKind::icmpv6:
      return rules::kProtocolIcmpv6;
    case rules::ProtocolKind::sctp:
      return rules::kProtocolSctp;
    case rules::ProtocolKind::number:
      return protocol->number;
  }
  return protocol->number;
}

Result<ExplainQuestion> read_explain_question(const Json& body, const State& state,
                                              const std::vector<std::string>& zones) {
  std::vector<rules::Problem> problems;
  FieldReader fields(body, "", problems);
  ExplainQuestion question;
  const rules::LoadBalancer* lb = nullptr;
  const auto word = fields.digits_or_text("lb");
  if (!word && !fields.has("lb")) fields.problem("lb", "missing: a load balancer by id or name");
  const rules::LbId found = word ? find_lb_by_word(state, *word).value_or(0) : 0;
  if (found != 0) lb = state.node.load_balancers.at(found).get();
  const auto direction = read_direction(fields);
  const auto remote = read_address(fields, "remote");
  if (!remote && !fields.has("remote"))
    fields.problem("remote", "missing: the address on the other side of the load balancer");
  const auto protocol = read_protocol(fields, remote);
  read_local(fields, lb, remote, question.packet);
  read_ports(fields, direction, protocol, question);
  read_icmp(fields, protocol, question.packet);
  // One problem alone that is no fault of the input: an LB that is not there.
  if (word && found == 0 && problems.empty())
    return fail(ErrorCode::not_found,
                fmt::format("There is no load balancer {}.", rules::quote(*word)));
  if (word && found == 0)
    fields.problem("lb", fmt::format("there is no load balancer {}", rules::quote(*word)));
  if (!problems.empty()) return fail(rules::refusal(std::move(problems)));
  question.lb = found;
  question.packet.direction = *direction;
  question.packet.remote = *remote;
  question.packet.protocol = *protocol;
  const auto zone = std::find(zones.begin(), zones.end(), lb->zone);
  question.packet.zone = static_cast<std::uint16_t>(zone == zones.end() ? 0 : zone - zones.begin());
  return question;
}

Result<Json> explain(const ExplainQuestion& question, Publisher& publisher) {
  const StatePtr state = publisher.state();
  const dataplane::Snapshot snapshot{publisher.table().table, publisher.settings(), {}};
  if (snapshot.table == nullptr)
    return fail(ErrorCode::unavailable, "The node enforces nothing yet.");
  const dataplane::Traced traced = dataplane::trace(snapshot, question.packet);
  rules::Explanation explanation;
  if (traced.rules) explanation = dataplane::explain(*snapshot.table, *traced.rules);
  const bool passes = traced.verdict.passes();
  Json json{{"verdict", passes ? "pass" : "drop"},
            {"reason", passes ? Json() : Json(to_string(traced.verdict.reason))},
            {"sentence", sentence_of(traced, explanation)},
            {"lb_id", question.lb},
            {"lb_name", lb_name_json(*state, question.lb)},
            {"local", rules::to_string(question.packet.local)},
            {"remote", rules::to_string(question.packet.remote)},
            {"generation", snapshot.generation()},
            {"allowed_by", allowing_json(explanation)},
            {"allowed_by_count", explanation.allowing.size()},
            {"nearest_miss", nullptr},
            {"live_flow", live_flow_json(question, publisher, *snapshot.table)},
            {"live_flow_looked_for", question.names_a_flow}};
  if (explanation.nearest)
    json["nearest_miss"] = nearest_miss_json(*explanation.nearest, traced.rules->key);
  return json;
}

}  // namespace sluice::control
