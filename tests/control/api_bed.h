// SPDX-License-Identifier: Apache-2.0
//
// The API behind a real server, over a data plane without packets and a store in memory.
#pragma once

#include "control/api.h"
#include "control/api_events.h"
#include "control/http_server.h"
#include "tests/control/http_client.h"
#include "tests/control/publisher_bed.h"
#include "tests/control/temporary_folder.h"

namespace sluice::control {

class ApiBed : public testing::Test {
 protected:
  tests::TemporaryFolder folder;
  std::string path = folder.file("api.sock");
  EventHub events;
  MemoryStore store;
  tests::FakeDataplane plane;
  Publisher publisher{store, plane, {}};
  std::unique_ptr<Api> api;
  std::unique_ptr<HttpServer> server;

  void SetUp() override {
    publisher.observe([this](const Applied& applied) { publish_generation(events, applied); });
    ASSERT_TRUE(publisher.start());
    ApiRooms rooms;
    rooms.events = &events;
    fill(rooms);
    api = std::make_unique<Api>(publisher, rooms);
    auto opened = HttpServer::open(
        addresses(),
        [this](const HttpRequest& request, Respond respond) {
          api->handle(request, std::move(respond));
        },
        Api::fault, [this](const HttpRequest& head) { return api->admit(head); }, options());
    ASSERT_TRUE(opened) << opened.error().message;
    server = std::move(*opened);
    events.on_publish(server->stream_waker());
    server->start();
  }
  void TearDown() override {
    publisher.stop();
    server.reset();
  }
  virtual void fill(ApiRooms& /*rooms*/) {}
  virtual std::vector<std::string> addresses() { return {"unix:" + path}; }
  virtual HttpOptions options() { return {}; }

  [[nodiscard]] tests::HttpConnection connect() const {
    return tests::HttpConnection::to_unix(path);
  }
  [[nodiscard]] tests::HttpReply call(const std::string& method, const std::string& target,
                                      const std::string& body = "",
                                      const std::string& headers = "") const {
    auto connection = connect();
    connection.send(tests::http_request(method, target, headers, body));
    return connection.reply();
  }
  static std::string group(const std::string& name) {
    return R"({"name":")" + name + R"(","rules":[
      {"rule_type":"Inbound","protocol_name":"Custom_TCP","port_range":"80","network":"any"},
      {"rule_type":"Outbound","protocol_name":"All","network":"any"}]})";
  }
  static std::string at(std::string_view path_below) {
    return std::string(kApiPrefix) + std::string(path_below);
  }
};

}  // namespace sluice::control
