// SPDX-License-Identifier: Apache-2.0
//
// The routes that existing clients use, and those about the table.
#include <fmt/format.h>

#include "control/api_reads.h"
#include "control/api_route.h"
#include "control/group_texts.h"

namespace sluice::control {

using rules::Json;
using rules::Result;

namespace {

// The envelope around a text that is JSON already.
HttpAnswer group_list(const Call& call) {
  thread_local GroupTexts texts;
  HttpAnswer answer = success(nullptr, "Success", call.state->generation);
  constexpr std::string_view kData = R"("data":)";
  const std::size_t place = answer.body.find(kData) + kData.size();
  answer.body.replace(place, 4, texts.list(*call.state));  // null
  return answer;
}

}  // namespace

std::vector<Route> group_routes() {
  const auto attached = view([](const Call& call) {
    return call.request.query.contains("available") ? list_available(*call.state, call.id)
                                                    : list_attached(*call.state, call.id);
  });
  return {
      {"GET", "/security_group", group_list, {}},
      {"POST",
       "/security_group",
       {},
       with_body(create_group),
       "Security Group created successfully."},
      {"GET", "/security_group/{}", id_view(show_group), {}},
      {"PUT",
       "/security_group/{}",
       {},
       with_id_and_body(update_group),
       "Security Group updated successfully."},
      {"DELETE",
       "/security_group/{}",
       {},
       with_id(delete_group),
       "Security Group deleted successfully."},
      {"PUT",
       "/security_group/{}/mark-default",
       {},
       with_id(mark_default),
       "Security Group marked as default successfully."},
      {"GET", "/security_group/{}/attach", attached, {}},
      {"POST",
       "/security_group/{}/attach",
       {},
       with_id_and_body(attach),
       "Security Group attached successfully"},
      {"GET", "/security_group/{}/detach", id_view(list_detachable), {}},
      {"POST",
       "/security_group/{}/detach",
       {},
       with_id_and_body(detach),
       "Security Group detached successfully"},
  };
}

namespace {

HttpAnswer lb_page(const Call& call) {
  auto page = list_lbs(*call.state, call.request.query);
  if (!page) return refusal(page.error());
  Json json = envelope(200, std::move(page->items), Json::object(), "Success");
  json["total_page_number"] = page->total_pages;
  json["total_count"] = page->total_count;
  HttpAnswer answer;
  answer.body = dump(json);
  answer.etag = fmt::format("\"{}\"", call.state->generation);
  return answer;
}

Publisher::Change registration(const Call& call) {
  return [body = call.body, zones = call.publisher.zones()](const State& state) {
    return register_lb(state, body, zones);
  };
}
Publisher::Change replacement(const Call& call) {
  return [id = call.id, body = call.body, zones = call.publisher.zones()](const State& state) {
    return replace_lb(state, id, body, zones);
  };
}

}  // namespace

std::vector<Route> lb_routes() {
  return {
      {"GET", "/appliances", lb_page, {}},
      {"POST",
       "/appliances/load-balancers",
       {},
       registration,
       "Load balancer registered successfully."},
      {"PUT",
       "/appliances/load-balancers/{}",
       {},
       replacement,
       "Load balancer updated successfully."},
      {"GET", "/appliances/{}", id_view(show_lb), {}},
      {"DELETE", "/appliances/{}", {}, with_id(delete_lb), "Load balancer deleted successfully."},
      {"PUT", "/appliances/{}/status", {}, with_id_and_body(set_status), "Status recorded."},
      {"GET", "/appliances/{}/security_group", id_view(show_tab), {}},
      {"GET", "/nodes/{}", id_view(show_node), {}},
  };
}

std::vector<Route> vpc_routes() {
  return {
      {"GET", "/vpc/list", state_view(list_vpcs), {}},
      {"POST", "/vpc", {}, with_body(create_vpc), "VPC created successfully."},
      {"GET", "/vpc/{}", id_view(show_vpc), {}},
      {"PUT", "/vpc/{}", {}, with_id_and_body(update_vpc), "VPC updated successfully."},
      {"DELETE", "/vpc/{}", {}, with_id(delete_vpc), "VPC deleted successfully."},
  };
}

std::vector<Route> node_routes() {
  const auto table = view([](const Call& call) -> Result<Json> {
    return show_table(call.publisher.table(), call.publisher.dataplane());
  });
  return {
      {"GET", "/table", table, {}},
  };
}

}  // namespace sluice::control
