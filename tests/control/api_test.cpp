// SPDX-License-Identifier: Apache-2.0
//
// The API through a real UNIX socket, over a data plane without packets.
#include "control/api.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "control/api_reads.h"
#include "control/http_server.h"
#include "control/publisher.h"
#include "control/store_sqlite.h"
#include "tests/control/fake_dataplane.h"
#include "tests/control/temporary_folder.h"

namespace sluice::control {
namespace {

using rules::Json;

struct Answer {
  int status = 0;
  std::string head;
  Json body;
};

class Api : public testing::Test {
 protected:
  tests::TemporaryFolder folder;
  tests::FakeDataplane plane;
  std::unique_ptr<StoreSqlite> store = *StoreSqlite::open(folder.file("state.db"));
  Publisher publisher{*store, plane, {}};
  std::string path = folder.file("api.sock");
  std::unique_ptr<HttpServer> server;

  void SetUp() override {
    ASSERT_TRUE(publisher.start());
    auto opened = HttpServer::open(
        {"unix:" + path},
        [this](const HttpRequest& request, auto answer) {
          control::Api(publisher).handle(request, std::move(answer));
        },
        control::Api::fault);
    ASSERT_TRUE(opened) << opened.error().message;
    server = std::move(*opened);
    server->start();
  }
  void TearDown() override {
    publisher.stop();
    server.reset();
  }

  [[nodiscard]] int connection() const {
    const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(path.begin(), path.end(), address.sun_path);
    if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return -1;
    return socket;
  }
  // What comes back for bytes sent as they are; the server closes, or 5 s pass.
  [[nodiscard]] std::string exchange(const std::string& bytes) const {
    const int socket = connection();
    const timeval limit{5, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    (void)!::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    std::string answer(65536, '\0');
    std::size_t size = 0;
    ssize_t count = 0;
    while ((count = ::recv(socket, answer.data() + size, answer.size() - size, 0)) > 0) {
      size += static_cast<std::size_t>(count);
      if (size == answer.size()) answer.resize(2 * size);
    }
    ::close(socket);
    return answer.substr(0, size);
  }
  [[nodiscard]] Answer call(const std::string& method, const std::string& target,
                            const std::string& body = "", const std::string& headers = "") const {
    const std::string text = exchange(fmt::format(
        "{} {}{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}Content-Length: "
        "{}\r\n\r\n{}",
        method, target.starts_with("/!") ? "" : kApiPrefix,
        target.starts_with("/!") ? target.substr(2) : target, headers, body.size(), body));
    Answer answer;
    if (text.size() < 12) return answer;
    answer.status = std::stoi(text.substr(9, 3));
    const std::size_t split = text.find("\r\n\r\n");
    answer.head = text.substr(0, split);
    const auto json = rules::parse_json(text.substr(split + 4));
    if (json) answer.body = *json;
    return answer;
  }
  [[nodiscard]] int create_group(const char* name, const char* ports = "80") const {
    return call("POST", "/security_group/", group(name, ports)).body["data"]["id"].get<int>();
  }
  static std::string group(const std::string& name, const std::string& ports = "80") {
    return R"({"name":")" + name + R"(","description":"","rules":[
      {"rule_type":"Inbound","protocol_name":"Custom_TCP","port_range":")" +
           ports +
           R"(","network":"any"},
      {"rule_type":"Outbound","protocol_name":"All","network":"any"}]})";
  }
  [[nodiscard]] int register_lb(const char* status = "Running") const {
    return call("POST", "/appliances/load-balancers/",
                fmt::format(
                    R"({{"lb_name":"web","lb_reserve_ip":"10.0.0.1","status":"{}","plan":7}})",
                    status))
        .body["data"]["appliance_id"]
        .get<int>();
  }
};

TEST_F(Api, AnswersInTheEnvelope) {
  const Answer answer = call("GET", "/security_group/");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body["code"], 200);
  EXPECT_EQ(answer.body["errors"], Json::object());
  EXPECT_EQ(answer.body["message"], "Success");
  ASSERT_EQ(answer.body["data"].size(), 2u);
  EXPECT_EQ(answer.body["data"][0]["name"], "default");
  EXPECT_EQ(answer.body["data"][0]["is_default"], true);
  EXPECT_EQ(answer.body["data"][1]["is_all_traffic_rule"], true);
  EXPECT_NE(answer.head.find("ETag: \"1\""), std::string::npos) << answer.head;
  EXPECT_NE(answer.head.find("X-Request-Id: "), std::string::npos);
}

TEST_F(Api, CreatesReadsReplacesAndDeletesAGroup) {
  const Answer created = call("POST", "/security_group/", group("office"));
  EXPECT_EQ(created.body["message"], "Security Group created successfully.");
  EXPECT_EQ(created.body["data"]["id"], 3);
  EXPECT_TRUE(created.body["data"]["label_id"].is_null());
  EXPECT_EQ(created.body["data"]["generation"], 2);
  EXPECT_EQ(plane.generation(), 2u);
  const Answer read = call("GET", "/security_group/3/");
  EXPECT_EQ(read.body["data"]["rules"].size(), 2u);
  EXPECT_EQ(call("PUT", "/security_group/3/", group("office", "81")).body["message"],
            "Security Group updated successfully.");
  EXPECT_EQ(call("GET", "/security_group/3").body["data"]["rules"][0]["port_range"], "81");
  const Answer deleted = call("DELETE", "/security_group/3/");
  EXPECT_EQ(deleted.body["message"], "Security Group deleted successfully.");
  EXPECT_EQ(deleted.body["data"]["name"], "office");
  EXPECT_EQ(call("GET", "/security_group/3/").status, 404);
}

TEST_F(Api, ListsGroupsAsTheyAreAfterEachChange) {
  for (int i = 0; i < 3; ++i) {
    const int id = create_group(fmt::format("g{}", i).c_str());
    EXPECT_EQ(call("GET", "/security_group/").body["data"], list_groups(*publisher.state()));
    (void)call("PUT", fmt::format("/security_group/{}/", id), group("same", "81"));
    EXPECT_EQ(call("GET", "/security_group/").body["data"], list_groups(*publisher.state()));
    (void)call("PUT", fmt::format("/security_group/{}/mark-default/", id));
    EXPECT_EQ(call("GET", "/security_group/").body["data"], list_groups(*publisher.state()));
    if (i == 1) (void)call("DELETE", "/security_group/3/");
  }
  EXPECT_EQ(call("GET", "/security_group/").body["data"], list_groups(*publisher.state()));
}

TEST_F(Api, CreatesReplacesAndDeletesAVpc) {
  const Answer created = call("POST", "/vpc/", R"({"vpc_name":"prod","ipv4_cidr":"10.8.0.0/16"})");
  EXPECT_EQ(created.body["message"], "VPC created successfully.");
  EXPECT_EQ(created.body["data"]["vpc_id"], 1);
  const Answer updated =
      call("PUT", "/vpc/1/", R"({"vpc_name":"prod","cidrs":["10.9.0.0/16","fd00::/48"]})");
  EXPECT_EQ(updated.body["message"], "VPC updated successfully.") << updated.body.dump();
  EXPECT_EQ(updated.body["data"]["generation"], 3);
  EXPECT_EQ(call("GET", "/vpc/1/").body["data"]["cidrs"], (Json{"10.9.0.0/16", "fd00::/48"}));
  EXPECT_EQ(call("DELETE", "/vpc/1/").status, 200);
  EXPECT_EQ(call("GET", "/vpc/list/").body["data"], Json::array());
}

TEST_F(Api, AttachesAndDetachesSeveralGroupsInOneAction) {
  const int a = create_group("a"), b = create_group("b", "22"), lb = register_lb();
  const std::string attach = fmt::format("/security_group/{}/attach/", lb);
  const std::string both = fmt::format(R"({{"security_group_ids":[{},{}]}})", a, b);
  const Answer attached = call("POST", attach, both);
  EXPECT_EQ(attached.body["message"], "Security Group attached successfully");
  const Json cut{{"cut", 7}, {"kept", 0}, {"draining", 0}, {"complete", true}};
  EXPECT_EQ(attached.body["data"]["flows"], cut);
  for (const char* field : {"generation", "compile_us", "swap_us", "store_us"})
    EXPECT_TRUE(attached.body["data"][field].is_number()) << field;
  EXPECT_EQ(attached.body["data"]["generation"], plane.generation());
  EXPECT_EQ(call("GET", attach).body["data"].size(), 3u);
  EXPECT_EQ(call("GET", attach).body["data"][0]["is_lb_default"], true);
  EXPECT_EQ(call("GET", attach + "?available=1").body["data"].size(), 1u);
  EXPECT_EQ(call("GET", fmt::format("/security_group/{}/detach/", lb)).body["data"].size(), 2u);
  EXPECT_EQ(call("POST", attach, both).status, 409);
  EXPECT_EQ(call("POST", fmt::format("/security_group/{}/detach/", lb), both).body["message"],
            "Security Group detached successfully");
  EXPECT_EQ(
      call("POST", fmt::format("/security_group/{}/detach/", lb), R"({"security_group_ids":[1]})")
          .status,
      409);
}

TEST_F(Api, NamesTheStatusThatForbidsTheTab) {
  const int lb = register_lb("Creating");
  for (const auto& [method, target] :
       {std::pair{"POST", fmt::format("/security_group/{}/attach/", lb)},
        std::pair{"GET", fmt::format("/security_group/{}/attach/", lb)},
        std::pair{"GET", fmt::format("/appliances/{}/security_group/", lb)}}) {
    const Answer answer = call(method, target, R"({"security_group_ids":[2]})");
    EXPECT_EQ(answer.status, 409) << target;
    EXPECT_NE(answer.body["message"].get<std::string>().find("Creating"), std::string::npos);
  }
  EXPECT_EQ(call("PUT", fmt::format("/appliances/{}/status/", lb),
                 R"({"status":"Backend Connection Failure"})")
                .status,
            200);
  EXPECT_EQ(call("GET", fmt::format("/appliances/{}/security_group/", lb))
                .body["data"]["attached"]
                .size(),
            1u);
}

TEST_F(Api, ShowsLoadBalancersInPages) {
  for (int i = 1; i <= 5; ++i)
    (void)call("POST", "/appliances/load-balancers/",
               fmt::format(R"({{"lb_name":"lb{0}","addresses":["10.0.0.{0}"]}})", i));
  const Answer page = call("GET", "/appliances/?page_no=2&per_page=2&apikey=x&location=Delhi");
  EXPECT_EQ(page.body["total_count"], 5);
  EXPECT_EQ(page.body["total_page_number"], 3);
  ASSERT_EQ(page.body["data"].size(), 2u);
  EXPECT_EQ(page.body["data"][0]["appliance_name"], "lb3");
  EXPECT_EQ(page.body["data"][0]["node_detail"]["vm_id"], page.body["data"][0]["id"]);
  EXPECT_EQ(call("GET", "/appliances/?page_no=0").status, 400);
  EXPECT_EQ(call("GET", "/nodes/3/").body["data"]["vm_id"], 3);
  EXPECT_EQ(call("GET", "/appliances/3/").body["data"]["context"][0]["lb_name"], "lb3");
}

struct Refusal {
  const char* method;
  const char* target;
  const char* body;
  int status;
  const char* field;  // in errors; empty: none
};

TEST_F(Api, RefusesByStatusAndFieldAndChangesNothing) {
  (void)create_group("a");
  (void)register_lb();
  const StatePtr before = publisher.state();
  const Refusal kCases[] = {
      {"POST", "/security_group/", "{", 400, "1:2"},
      {"POST", "/security_group/", "[]", 400, "body"},
      {"POST", "/security_group/", R"({"name":"x","name":"y"})", 400, "1:13"},
      {"POST", "/security_group/", "", 400, "name"},
      {"POST", "/security_group/", R"({"name":"x","rules":[{}]})", 400, "rules[0].network"},
      {"PUT", "/security_group/99/", R"({"name":"x"})", 404, ""},
      {"PUT", "/security_group/99999999999/", "{}", 404, ""},
      {"DELETE", "/security_group/1/", "", 409, "id"},
      {"PUT", "/security_group/99/mark-default/", "", 404, ""},
      {"POST", "/security_group/1/attach/", R"({"security_group_ids":[99]})", 404,
       "security_group_ids[0]"},
      {"POST", "/security_group/1/attach/", R"({"security_group_ids":[3],"flows":"kept"})", 400,
       "flows"},
      {"POST", "/security_group/9/attach/", R"({"security_group_ids":[3]})", 404, ""},
      {"POST", "/security_group/1/detach/", R"({"security_group_ids":[3]})", 409,
       "security_group_ids"},
      {"POST", "/appliances/load-balancers/", R"({"lb_name":"web2","addresses":["10.0.0.1"]})", 409,
       "addresses"},
      {"POST", "/appliances/load-balancers/", R"({"lb_name":"w2"})", 400, "addresses"},
      {"PUT", "/appliances/1/status/", R"({"status":"Walking"})", 400, "status"},
      {"PUT", "/appliances/7/status/", R"({"status":"Running"})", 404, ""},
      {"DELETE", "/appliances/7/", "", 404, ""},
      {"DELETE", "/vpc/7/", "", 404, ""},
      {"PUT", "/vpc/7/", R"({"vpc_name":"p","ipv4_cidr":"10.0.0.0/8"})", 404, ""},
      {"POST", "/vpc/", R"({"vpc_name":"p"})", 400, "ipv4_cidr"},
      {"GET", "/nosuch/", "", 404, ""},
      {"PATCH", "/security_group/", "", 405, ""},
      {"GET", "/!/elsewhere", "", 404, ""},
  };
  for (const Refusal& refusal : kCases) {
    const Answer answer = call(refusal.method, refusal.target, refusal.body);
    const std::string what = fmt::format("{} {} {}: {}", refusal.method, refusal.target,
                                         refusal.body, answer.body.dump());
    EXPECT_EQ(answer.status, refusal.status) << what;
    EXPECT_EQ(answer.body["code"], refusal.status) << what;
    EXPECT_FALSE(answer.body["message"].get<std::string>().empty()) << what;
    if (*refusal.field != '\0') {
      EXPECT_TRUE(answer.body["errors"].contains(refusal.field)) << what;
    }
  }
  EXPECT_EQ(publisher.state(), before);
  EXPECT_EQ(plane.generation(), before->generation);
}

TEST_F(Api, TellsTheMethodsAPathHas) {
  EXPECT_NE(call("PATCH", "/security_group/").head.find("Allow: GET, POST"), std::string::npos);
}

TEST_F(Api, RefusesAChangeOfWhatWasNotSeen) {
  EXPECT_EQ(call("POST", "/security_group/", group("a"), "If-Match: \"1\"\r\n").status, 200);
  EXPECT_EQ(call("POST", "/security_group/", group("b"), "If-Match: \"1\"\r\n").status, 412);
  EXPECT_EQ(call("POST", "/security_group/", group("b"), "If-Match: \"2\"\r\n").status, 200);
}

TEST_F(Api, AnswersWithoutEnforcementByTheHungWorker) {
  plane.hangs = true;
  EXPECT_EQ(call("POST", "/security_group/", group("a")).status, 503);
  plane.hangs = false;
  EXPECT_EQ(call("POST", "/security_group/", group("a")).status, 200);
}

TEST_F(Api, BoundsHeadersAndBodies) {
  EXPECT_NE(exchange("GET / HTTP/1.1\r\nX: " + std::string(20'000, 'a') + "\r\n\r\n").find(" 431 "),
            std::string::npos);
  const std::string huge = exchange(
      "POST /myaccount/api/v1/security_group/ HTTP/1.1\r\nHost: x\r\nContent-Length: "
      "99999999\r\n\r\n");
  EXPECT_NE(huge.find(" 413 "), std::string::npos) << huge;
  const std::string garbage = exchange("\x16\x03\x01 what is this\r\n\r\n");
  EXPECT_TRUE(garbage.empty() || garbage.find(" 400 ") != std::string::npos) << garbage;
  EXPECT_EQ(call("GET", "/security_group/").status, 200);
}

TEST_F(Api, ServesOthersWhileManyStayingSilent) {
  std::vector<int> silent;
  for (int i = 0; i < 300; ++i) {
    silent.push_back(connection());
    (void)!::send(silent.back(), "GET /my", 7, MSG_NOSIGNAL);
  }
  EXPECT_EQ(call("GET", "/security_group/").status, 200);
  for (int socket : silent) ::close(socket);
}

TEST_F(Api, TakesChangesOfEightClientsAtOnce) {
  std::vector<std::thread> clients;
  std::atomic<int> accepted{0};
  for (int client = 0; client < 8; ++client) {
    clients.emplace_back([&, client] {
      for (int i = 0; i < 10; ++i)
        accepted +=
            call("POST", "/security_group/", group(fmt::format("c{}-{}", client, i))).status == 200;
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(accepted, 80);
  EXPECT_EQ(publisher.state()->node.groups.size(), 82u);
  // Those that waited together share a generation.
  EXPECT_EQ(plane.generation(), publisher.state()->generation);
  EXPECT_LE(plane.generation(), 81u);
}

TEST_F(Api, ShowsTableAndCounters) {
  const Answer counters = call("GET", "/counters/");
  EXPECT_EQ(counters.body["data"]["workers"][0]["lcore"], 1);
  EXPECT_EQ(counters.body["data"]["total"]["dropped"]["no_rule"], 0);
  EXPECT_EQ(counters.body["data"]["ports"][0]["rx_missed"], 3);
  EXPECT_EQ(call("GET", "/table/").body["data"]["workers"][0]["generation"], 1);
  EXPECT_EQ(call("GET", "/!/readyz").status, 200);
}

TEST_F(Api, TellsOfAWorkerThatHangs) {
  EXPECT_EQ(call("GET", "/!/healthz").status, 200);
  plane.worker_is_hung = true;
  for (const char* target : {"/!/healthz", "/!/readyz"}) {
    const Answer answer = call("GET", target);
    EXPECT_EQ(answer.status, 503);
    EXPECT_EQ(answer.body["message"], "The worker on lcore 1 has polled no port for 1234 ms.");
  }
  for (const char* target : {"/table/", "/counters/"}) {
    const Json worker = call("GET", target).body["data"]["workers"][0];
    EXPECT_EQ(worker["is_hung"], true) << target;
    EXPECT_EQ(worker["silent_ms"], 1234) << target;
  }
  EXPECT_EQ(call("GET", "/security_group/").status, 200);
}

TEST(HttpServer, RefusesTakenAndForeignAddresses) {
  const tests::TemporaryFolder folder;
  const auto handler = [](const HttpRequest&, auto) {};
  const auto first = HttpServer::open({"unix:" + folder.file("s")}, handler, control::Api::fault);
  ASSERT_TRUE(first);
  (*first)->start();
  for (const std::string& address : {"unix:" + folder.file("s"), std::string("http://0.0.0.0:8080"),
                                     std::string("http://10.0.0.1:1"), std::string("ftp://x"),
                                     std::string("http://127.0.0.1:99999"), std::string("unix:"),
                                     "unix:" + std::string(200, 'x')}) {
    EXPECT_FALSE(HttpServer::open({address}, handler, control::Api::fault)) << address;
  }
  std::ofstream(folder.file("file")) << "not a socket";
  EXPECT_FALSE(HttpServer::open({"unix:" + folder.file("file")}, handler, control::Api::fault));
  EXPECT_TRUE(std::filesystem::exists(folder.file("file")));
}

}  // namespace
}  // namespace sluice::control
