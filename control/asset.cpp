// SPDX-License-Identifier: Apache-2.0
#include "control/asset.h"

#include "control/api.h"

namespace sluice::control {
namespace {

// Nothing foreign runs in the page, nothing foreign shows it, and it talks to its own node alone.
constexpr const char* kPolicy =
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'";

// If-None-Match: a list of tags, "*", weak tags too (RFC 9110 §13.1.2).
bool client_has(std::string_view if_none_match, std::string_view etag) {
  return if_none_match == "*" || (!etag.empty() && if_none_match.find(etag) != std::string::npos);
}

}  // namespace

HttpAnswer asset_answer(const Asset& asset, const HttpRequest& request) {
  HttpAnswer answer;
  answer.headers = {{"Content-Security-Policy", kPolicy},
                    {"X-Frame-Options", "DENY"},
                    {"Referrer-Policy", "no-referrer"},
                    {"Cross-Origin-Opener-Policy", "same-origin"},
                    {"Cross-Origin-Resource-Policy", "same-origin"}};
  if (request.method != "GET" && request.method != "HEAD") {
    answer.status = 405;
    answer.body = Api::fault(405, request.method + " is not for this path.");
    answer.allow = "GET, HEAD";
    return answer;
  }
  // Kept by the browser, but asked for each time: a page and a script of two versions never meet.
  answer.headers.emplace_back("Cache-Control", "no-cache");
  answer.etag = asset.etag;
  answer.content_type = asset.content_type;
  if (client_has(request.header("If-None-Match"), asset.etag)) {
    answer.status = 304;
    answer.content_type.clear();
  } else {
    answer.body = asset.content;
  }
  return answer;
}

}  // namespace sluice::control
