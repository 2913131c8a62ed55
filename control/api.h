// SPDX-License-Identifier: Apache-2.0
//
// The routes of API.md: requests to use cases, outcomes to the envelope.
#pragma once

#include <string>

#include "control/http_server.h"
#include "control/publisher.h"

namespace sluice::control {

inline constexpr std::string_view kApiPrefix = "/myaccount/api/v1";

class Api {
 public:
  explicit Api(Publisher& publisher) : publisher_(publisher) {}

  // Thread: the HTTP server's; answers to changes come from the publisher's.
  void handle(const HttpRequest& request, std::function<void(HttpAnswer)> answer);

  // {"code", "data":null, "errors":{}, "message"} for what never reached a route.
  [[nodiscard]] static std::string fault(unsigned status, const std::string& message);

 private:
  Publisher& publisher_;
};

// The one place where an error's code becomes an HTTP status.
[[nodiscard]] unsigned status_of(rules::ErrorCode code);

}  // namespace sluice::control
