// SPDX-License-Identifier: Apache-2.0
//
// /openapi.json says what there is: every route, and no other. What its answers look like is held
// against a real daemon's by tests/openapi.
#include <gtest/gtest.h>

#include <set>

#include "control/api_route.h"
#include "control/web_assets.h"
#include "tests/control/api_bed.h"

namespace sluice::control {
namespace {

rules::Json document() {
  const Asset* asset = find_web_asset("/openapi.json");
  EXPECT_NE(asset, nullptr);
  return *rules::parse_json(std::string(asset->content));
}

// Answered before the routes are asked.
const std::set<std::string> kWithoutRoute{"GET /healthz", "GET /readyz", "GET /openapi.json"};

TEST(OpenApi, NamesEveryRouteAndNoOther) {
  std::set<std::string> documented, routed = kWithoutRoute;
  const rules::Json json = document();
  for (const auto& [path, operations] : json["paths"].items()) {
    const bool is_beside = operations.contains("servers");
    EXPECT_EQ(path.ends_with('/'), !is_beside) << path;
    for (const auto& [method, operation] : operations.items()) {
      if (method == "parameters" || method == "servers") continue;
      std::string name = method + " " + path;
      std::transform(name.begin(), name.begin() + static_cast<std::ptrdiff_t>(method.size()),
                     name.begin(), ::toupper);
      documented.insert(is_beside ? name : name.substr(0, name.size() - 1));
    }
  }
  for (const Route& route : all_routes()) {
    std::string path(route.path);
    if (const auto hole = path.find("{}"); hole != std::string::npos) path.replace(hole, 2, "{id}");
    routed.insert(std::string(route.method) + " " + path);
  }
  EXPECT_EQ(documented, routed);
}

TEST(OpenApi, TellsEachOperationApart) {
  std::set<std::string> ids;
  const rules::Json json = document();
  for (const auto& [path, operations] : json["paths"].items())
    for (const auto& [method, operation] : operations.items())
      if (operation.is_object()) {
        EXPECT_TRUE(ids.insert(operation.value("operationId", "")).second) << method << " " << path;
        EXPECT_FALSE(operation.value("summary", "").empty()) << method << " " << path;
      }
}

class OpenApiBed : public ApiBed {
  void fill(ApiRooms& rooms) override { rooms.assets = find_web_asset; }
};

TEST_F(OpenApiBed, IsServedBesideThePrefix) {
  const auto reply = call("GET", "/openapi.json");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.header("Content-Type"), "application/json");
  EXPECT_EQ(reply.body["openapi"], "3.1.0");
}

}  // namespace
}  // namespace sluice::control
