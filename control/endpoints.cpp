// SPDX-License-Identifier: Apache-2.0
#include "control/endpoints.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "rules/json.h"

namespace sluice::control {
namespace {

using rules::Json;

std::string text_of(const Json& object, const char* name) {
  if (!object.is_object() || !object.contains(name)) return "";
  const Json& value = object[name];
  return value.is_string() ? value.get<std::string>() : value.dump();
}

std::optional<std::uint16_t> port_of(const Json& object, const char* name) {
  const std::string text = text_of(object, name);
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  if (text.empty() || stop != end || error != std::errc{} || port == 0) return std::nullopt;
  return port;
}

void add_listener(const Json& object, const char* name, Endpoints& endpoints) {
  if (const auto port = port_of(object, name)) endpoints.listeners.push_back(*port);
}

void add_server(const Json& server, Endpoints& endpoints) {
  const auto address = rules::parse_address(text_of(server, "backend_ip"));
  const auto port = port_of(server, "backend_port");
  if (address && port)
    endpoints.backends.push_back({text_of(server, "backend_name"), *address, *port});
}

template <class Items>
void sort(Items& items) {
  std::sort(items.begin(), items.end());
  items.erase(std::unique(items.begin(), items.end()), items.end());
}

}  // namespace

Endpoints endpoints_of(const rules::LoadBalancer& lb) {
  Endpoints endpoints;
  const auto registration = rules::parse_json(lb.registration);
  if (!registration || !registration->is_object()) return endpoints;
  add_listener(*registration, "lb_port", endpoints);
  for (const char* name : {"backends", "tcp_backend"}) {
    const Json list = registration->value(name, Json::array());
    if (!list.is_array()) continue;
    for (const Json& item : list) {
      if (std::string_view(name) == "tcp_backend") add_listener(item, "port", endpoints);
      add_server(item, endpoints);
      if (!item.is_object() || !item.contains("servers") || !item["servers"].is_array()) continue;
      for (const Json& server : item["servers"]) add_server(server, endpoints);
    }
  }
  sort(endpoints.listeners);
  sort(endpoints.backends);
  return endpoints;
}

}  // namespace sluice::control
