// SPDX-License-Identifier: Apache-2.0
//
// A whole node in one process, for benchmarks of its control: the API on a UNIX socket, the store
// in a file, a DPDK worker that is busy with packets.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "control/api.h"
#include "control/api_events.h"
#include "control/http_server.h"
#include "control/publisher.h"
#include "control/store_sqlite.h"
#include "dataplane/dataplane.h"
#include "tests/control/http_client.h"
#include "tests/control/temporary_folder.h"

namespace sluice::bench {

inline constexpr std::size_t kRulesPerGroup = 10;

// DPDK starts once in a process: one for all nodes. Ends the process with a sentence if it does not
// start.
[[nodiscard]] dataplane::Dataplane& busy_dataplane();

// So many load balancers, each with a group of its own, as the tests' workload has them.
[[nodiscard]] control::State workload_state(std::size_t load_balancers);

// A state file in a folder of its own.
class StateFile {
 public:
  explicit StateFile(std::size_t load_balancers);
  [[nodiscard]] std::string path() const { return folder_.file("state.db"); }
  [[nodiscard]] std::string socket() const { return folder_.file("api.sock"); }

 private:
  tests::TemporaryFolder folder_;
};

// From its stored state to enforcing; ends with its scope.
class Node {
 public:
  explicit Node(const std::string& path);
  ~Node();
  void open_api(const std::string& socket);
  [[nodiscard]] control::Publisher& publisher() { return publisher_; }

 private:
  std::unique_ptr<control::StoreSqlite> store_;
  control::EventHub events_;
  control::Publisher publisher_;
  std::unique_ptr<control::Api> api_;
  std::unique_ptr<control::HttpServer> server_;
};

}  // namespace sluice::bench
