// SPDX-License-Identifier: Apache-2.0
//
// A file that the server gives out as it is: the web tab's pages, built into the binary.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "control/http_message.h"

namespace sluice::control {

struct Asset {
  std::string_view content;       // lives as long as the server
  std::string_view content_type;  // "text/html; charset=utf-8"
  std::string_view etag;          // strong, in its quotes; changes with the content
};

// The asset at a path ("/", "/app.js"); null: there is none.
using AssetLookup = std::function<const Asset*(std::string_view path)>;

// 200 with the content, 304 where the client has it already, 405 for other methods than GET. With
// the headers that keep a page from loading, or being part of, anything foreign.
[[nodiscard]] HttpAnswer asset_answer(const Asset& asset, const HttpRequest& request);

}  // namespace sluice::control
