// SPDX-License-Identifier: Apache-2.0
//
// The daemon's options about the API: who may come, by which addresses, how often.
#pragma once

#include <boost/program_options/options_description.hpp>
#include <string>
#include <vector>

#include "control/http_options.h"
#include "rules/result.h"

namespace sluice::control {

[[nodiscard]] boost::program_options::options_description api_options(
    HttpOptions& http, std::vector<std::string>& addresses, std::string& unix_role);

// Reads the role, and what is wrong with the options.
void check_api_options(HttpOptions& http, const std::string& unix_role,
                       std::vector<rules::Problem>& problems);

}  // namespace sluice::control
