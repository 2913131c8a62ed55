// SPDX-License-Identifier: Apache-2.0
//
// sluiced: builds the parts in order, waits for a signal, takes them down in reverse.
#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cstdio>

#include "control/api.h"
#include "control/api_events.h"
#include "control/config.h"
#include "control/http_server.h"
#include "control/observer.h"
#include "control/publisher.h"
#include "control/reload.h"
#include "control/signals.h"
#include "control/store_sqlite.h"
#include "control/systemd.h"
#include "control/web_assets.h"
#include "dataplane/dpdk/dpdk_dataplane.h"

namespace {

using namespace sluice;

int refuse(const rules::Error& error, int status) {
  fmt::print(stderr, "Error: {}\n", error.message);
  return status;
}

void log_alarm(const dataplane::dpdk::WorkerAlarm& alarm) {
  spdlog::log(alarm.hangs ? spdlog::level::critical : spdlog::level::warn,
              "worker {} (lcore {}) {} {} ms", alarm.worker, alarm.lcore,
              alarm.hangs ? "hangs: no port polled for" : "goes on after", alarm.silent_ms);
}

int run(const control::Config& config, const control::Signals& signals) {
  const auto system_rules = control::read_system_rules(config.files.system_rules, nullptr);
  if (!system_rules) return refuse(control::with_all_problems(system_rules.error()), 1);
  auto store = control::StoreSqlite::open(config.state);
  if (!store) return refuse(store.error(), 1);
  spdlog::info("state: {}", config.state);

  // Before the ports are opened: a daemon nobody could talk to should not forward at all.
  control::EventHub events;
  std::atomic<control::Api*> api_of_server{nullptr};  // null: nothing is enforced yet
  auto server = control::HttpServer::open(
      config.api,
      [&api_of_server](const control::HttpRequest& request, auto answer) {
        if (control::Api* api = api_of_server) return api->handle(request, std::move(answer));
        answer(control::Api::not_yet());
      },
      control::Api::fault,
      [&api_of_server](const control::HttpRequest& head) -> control::HttpAdmission {
        if (const control::Api* api = api_of_server) return api->admit(head);
        return {control::Api::not_yet(), 0};
      },
      config.http);
  if (!server) return refuse(server.error(), 1);

  auto plane_config = config.dataplane;
  plane_config.alarm = log_alarm;
  auto plane = dataplane::dpdk::DpdkDataplane::open(plane_config);
  if (!plane) return refuse(plane.error(), 1);
  (*server)->start();  // like all threads from here on, on the CPUs that no worker polls on
  for (const auto& port : (*plane)->ports()) spdlog::info("port {}: {}", port.side, port.device);

  events.on_publish((*server)->stream_waker());
  control::Publisher publisher(**store, **plane, config.settings);
  publisher.observe([&events](const auto& applied) { publish_generation(events, applied); });
  if (auto started = publisher.start(*system_rules); !started) return refuse(started.error(), 1);
  const auto state = publisher.state();
  spdlog::info(
      "enforcing generation {}: {} load balancers, {} security groups, {} workers, "
      "flows spread by {}",
      state->generation, state->node.load_balancers.size(), state->node.groups.size(),
      (*plane)->workers().size(),
      (*plane)->spreads_by_ports() ? "the ports" : "handing frames over");

  control::Reloader reloader(publisher, config.files);
  if (!config.files.rules.empty()) reloader.reload();  // refused: the stored state stays in force
  control::Observer observer(publisher, &events);
  observer.start();
  control::Api api(publisher, {&events, control::find_web_asset, &(*server)->counts(), &observer});
  api_of_server = &api;
  for (const std::string& address : config.api) spdlog::info("API: {}", address);
  {
    const control::ServiceHeartbeat heartbeat(**plane);
    const int signal = signals.wait_for_end([&] { reloader.reload_and_tell(); });
    spdlog::info("stopping on {}: nothing is forwarded from here on",
                 signal == SIGTERM ? "SIGTERM" : "SIGINT");
  }
  observer.stop();  // its last answers, and the publisher's, need the server
  publisher.stop();
  server->reset();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto config = control::read_config(argc, argv);
  if (!config) return refuse(config.error(), 2);
  if (config->answer) {
    fmt::print("{}", *config->answer);
    return 0;
  }
  spdlog::set_default_logger(spdlog::stderr_logger_mt("sluiced"));
  spdlog::set_level(spdlog::level::from_str(config->log_level));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
  const control::Signals signals;  // before any thread is started
  try {
    return run(*config, signals);
  } catch (const std::exception& exception) {
    return refuse({rules::ErrorCode::system, exception.what(), {}}, 1);
  }
}
