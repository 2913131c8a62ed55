// SPDX-License-Identifier: Apache-2.0
//
// The files of the web tab (control/web) and the API's description (control/openapi.yaml, as JSON),
// built into the daemon.
#pragma once

#include "control/asset.h"

namespace sluice::control {

// By the path of the request: "/" is the page, "/openapi.json" the description. Null: there is no
// such file.
[[nodiscard]] const Asset* find_web_asset(std::string_view path);

}  // namespace sluice::control
