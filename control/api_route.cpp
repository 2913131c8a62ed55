// SPDX-License-Identifier: Apache-2.0
#include "control/api_route.h"

#include <fmt/format.h>

#include "control/api.h"

namespace sluice::control {

using rules::Json;

Json envelope(unsigned code, Json data, Json errors, const std::string& message) {
  return {{"code", code},
          {"data", std::move(data)},
          {"errors", std::move(errors)},
          {"message", message}};
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

HttpAnswer success(Json data, const std::string& message, std::uint64_t generation) {
  HttpAnswer answer;
  answer.body = dump(envelope(200, std::move(data), Json::object(), message));
  answer.etag = fmt::format("\"{}\"", generation);
  return answer;
}

namespace {

// Each field once; several problems of one field stand in a list.
Json errors_json(const std::vector<rules::Problem>& problems) {
  Json errors = Json::object();
  for (const auto& problem : problems) {
    Json& entry = errors[problem.where.empty() ? "body" : problem.where];
    if (entry.is_null()) entry = Json::array();
    entry.push_back(problem.message);
  }
  return errors;
}

}  // namespace

HttpAnswer refusal(const rules::Error& error) {
  HttpAnswer answer;
  answer.status = status_of(error.code);
  answer.body = dump(envelope(answer.status, nullptr, errors_json(error.problems), error.message));
  return answer;
}

unsigned status_of(rules::ErrorCode code) {
  switch (code) {
    case rules::ErrorCode::invalid:
      return 400;
    case rules::ErrorCode::forbidden:
      return 403;
    case rules::ErrorCode::not_found:
      return 404;
    case rules::ErrorCode::conflict:
      return 409;
    case rules::ErrorCode::too_large:
      return 413;
    case rules::ErrorCode::capacity:
      return 422;
    case rules::ErrorCode::unavailable:
      return 503;
    case rules::ErrorCode::storage:
      return 507;
    case rules::ErrorCode::system:
      return 500;
  }
  return 500;
}

}  // namespace sluice::control
