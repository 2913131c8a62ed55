// SPDX-License-Identifier: Apache-2.0
//
// A request and its answer as the routes see them.
#pragma once

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/event_hub.h"
#include "control/role.h"

namespace sluice::control {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;
  std::string path;                          // decoded, without the query
  std::map<std::string, std::string> query;  // decoded; of equal names the last counts
  std::string body;
  std::string if_match;
  HttpHeaders headers;        // as sent, in order
  std::string id;             // X-Request-Id: the client's, or one made
  std::string actor;          // who asks: "uid 0 (root)", "token deploy", "anonymous 127.0.0.1"
  Role role = Role::none;     // what they may do
  bool is_anonymous = false;  // a token would tell who it is

  // The first header of that name, in any case of letters; empty: there is none.
  [[nodiscard]] std::string_view header(std::string_view name) const {
    const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
    for (const auto& [known, value] : headers)
      if (std::equal(known.begin(), known.end(), name.begin(), name.end(),
                     [&](char a, char b) { return lower(a) == lower(b); }))
        return value;
    return {};
  }
};

struct HttpAnswer {
  unsigned status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::string etag;
  std::string allow;    // for 405
  HttpHeaders headers;  // further ones; they win over those the server gives by itself
  // Set: no body, but the events of this subscription (server-sent events) until a side closes.
  std::shared_ptr<EventSubscription> stream;
};

// What the routes say of a request before its body is read.
struct HttpAdmission {
  std::optional<HttpAnswer> refusal{};
  std::uint64_t body_bytes_max = 0;
};

using Respond = std::function<void(HttpAnswer)>;

}  // namespace sluice::control
