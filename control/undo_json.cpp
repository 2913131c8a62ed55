// SPDX-License-Identifier: Apache-2.0
//
// Changes that await confirmation, as they are stored and as the API shows them.
#include <fmt/format.h>

#include "control/load_balancer.h"
#include "control/stored_group.h"
#include "control/undo.h"

namespace sluice::control {
namespace {

using rules::Json;
using rules::Result;

// {id: value or null}, as pairs: JSON has no numbers as names.
template <class Items, class ToJson>
Json items_to_json(const Items& items, ToJson to_json) {
  Json json = Json::array();
  for (const auto& item : items)
    json.push_back(
        {{"id", item.id}, {"value", item.value == nullptr ? Json() : to_json(*item.value)}});
  return json;
}

// from_json(json, id) -> Result<Value>
template <class Id, class Value, class FromJson>
Result<void> items_from_json(const Json& json, std::vector<Before<Id, Value>>& items,
                             FromJson from_json) {
  for (const Json& item : json) {
    Before<Id, Value> before{item.at("id").get<Id>(), nullptr};
    if (!item.at("value").is_null()) {
      auto value = from_json(item.at("value"), before.id);
      if (!value) return tl::unexpected(value.error());
      before.value = std::make_shared<const Value>(std::move(*value));
    }
    items.push_back(std::move(before));
  }
  return {};
}

Json undo_to_json(const Undo& undo) {
  Json attachments = Json::array();
  for (const AttachmentBefore& before : undo.attachments)
    attachments.push_back({{"load_balancer", before.attachment.lb},
                           {"security_group", before.attachment.group},
                           {"was_attached", before.was_attached},
                           {"place", before.place},
                           {"expires_at", before.expires_at ? Json(*before.expires_at) : Json()}});
  return {{"vpcs", items_to_json(undo.vpcs, rules::vpc_to_json)},
          {"groups",
           items_to_json(undo.groups,
                         [](const auto& group) { return rules::group_to_json(group, false); })},
          {"load_balancers", items_to_json(undo.load_balancers, stored_lb_to_json)},
          {"attachments", std::move(attachments)},
          {"account_default_group",
           undo.account_default_group ? Json(*undo.account_default_group) : Json()}};
}

Result<Undo> undo_from_json(const Json& json, const rules::Node& node) {
  Undo undo;
  if (auto read = items_from_json(json.at("vpcs"), undo.vpcs, stored_vpc_from_json); !read)
    return tl::unexpected(read.error());
  rules::Node with_vpcs = node;  // rules may name those that the change deleted
  for (const auto& vpc : undo.vpcs)
    if (vpc.value != nullptr) with_vpcs.vpcs[vpc.id] = vpc.value;
  auto read = items_from_json(json.at("groups"), undo.groups, [&](const Json& value, auto id) {
    return stored_group_from_json(value, id, with_vpcs);
  });
  if (!read) return tl::unexpected(read.error());
  read = items_from_json(json.at("load_balancers"), undo.load_balancers,
                         [](const Json& value, auto id) {
                           auto lb = stored_lb_from_json(value);
                           if (lb) lb->id = id;
                           return lb;
                         });
  if (!read) return tl::unexpected(read.error());
  for (const Json& item : json.at("attachments")) {
    AttachmentBefore before{{item.at("load_balancer").get<rules::LbId>(),
                             item.at("security_group").get<rules::GroupId>()},
                            item.at("was_attached").get<bool>()};
    before.place = item.at("place").get<std::size_t>();
    if (!item.at("expires_at").is_null()) before.expires_at = item["expires_at"].get<UnixMs>();
    undo.attachments.push_back(before);
  }
  if (const Json& group = json.at("account_default_group"); !group.is_null())
    undo.account_default_group = group.get<rules::GroupId>();
  return undo;
}

}  // namespace

Json pending_to_json(const PendingChange& change) {
  return {{"generation", change.generation},
          {"made_at", change.made_at},
          {"confirm_by", change.confirm_by},
          {"actor", change.actor},
          {"what", change.what},
          {"undo", undo_to_json(change.undo)}};
}

Json pending_to_public_json(const PendingChange& change) {
  return {{"id", change.id},
          {"generation", change.generation},
          {"made_at", utc_text(change.made_at)},
          {"confirm_by", utc_text(change.confirm_by)},
          {"actor", change.actor},
          {"what", change.what},
          {"touches", touched(change.undo)}};
}

Result<PendingChange> pending_from_json(const Json& json, const rules::Node& node) {
  try {
    PendingChange change;
    change.generation = json.at("generation").get<std::uint64_t>();
    change.made_at = json.at("made_at").get<UnixMs>();
    change.confirm_by = json.at("confirm_by").get<UnixMs>();
    change.actor = json.at("actor").get<std::string>();
    change.what = json.at("what").get<std::string>();
    auto undo = undo_from_json(json.at("undo"), node);
    if (!undo) return tl::unexpected(undo.error());
    change.undo = std::move(*undo);
    return change;
  } catch (const Json::exception& exception) {
    return rules::fail(rules::ErrorCode::storage,
                       fmt::format("pending change: {}", exception.what()));
  }
}

}  // namespace sluice::control
