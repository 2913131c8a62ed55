// SPDX-License-Identifier: Apache-2.0
//
// The routes of API.md: requests to use cases, outcomes to the envelope.
#pragma once

#include <string>

#include "control/asset.h"
#include "control/event_hub.h"
#include "control/http_counts.h"
#include "control/http_message.h"
#include "control/publisher.h"

namespace sluice::control {

inline constexpr std::string_view kApiPrefix = "/myaccount/api/v1";

class Observer;

// What the routes reach beside the publisher. Null or empty: what needs it is not there (404).
struct ApiRooms {
  EventHub* events = nullptr;
  AssetLookup assets;
  const HttpCounts* http = nullptr;
  Observer* observer = nullptr;
};

class Api {
 public:
  explicit Api(Publisher& publisher, ApiRooms rooms = {})
      : publisher_(publisher), rooms_(std::move(rooms)) {}

  // What a route says of a request before its body is read: that it is not there, is not for this
  // caller (401, 403 with the role it needs), or how long its body may be.
  [[nodiscard]] HttpAdmission admit(const HttpRequest& head) const;

  // Thread: the HTTP server's; answers to changes come from the publisher's.
  void handle(const HttpRequest& request, Respond respond);

  // What is answered before there is a table in force.
  [[nodiscard]] static HttpAnswer not_yet();

  // {"code", "data":null, "errors":{}, "message"} for what never reached a route.
  [[nodiscard]] static std::string fault(unsigned status, const std::string& message);

 private:
  [[nodiscard]] const Asset* find_asset(std::string_view path) const;

  Publisher& publisher_;
  const ApiRooms rooms_;
};

// The one place where an error's code becomes an HTTP status.
[[nodiscard]] unsigned status_of(rules::ErrorCode code);

}  // namespace sluice::control
