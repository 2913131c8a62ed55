// SPDX-License-Identifier: Apache-2.0
#include "control/metrics.h"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <initializer_list>
#include <map>
#include <utility>
#include <vector>

#include "rules/validate.h"

namespace sluice::control {
namespace {

using dataplane::Counts;
using dataplane::WorkerReport;

// "name=\"value\"", the value escaped as the format wants it.
std::string label(std::string_view name, std::string_view value) {
  std::string text = fmt::format("{}=\"", name);
  for (const char c : value) {
    if (c == '\\' || c == '"') text += '\\';
    if (c == '\n') {
      text += "\\n";
    } else {
      text += c;
    }
  }
  return text + '"';
}

class Text {
 public:
  // A family: what follows are its samples.
  Text& counter(std::string_view name, std::string_view help) {
    return begin(name, "counter", help);
  }
  Text& gauge(std::string_view name, std::string_view help) { return begin(name, "gauge", help); }
  Text& histogram(std::string_view name, std::string_view help) {
    return begin(name, "histogram", help);
  }

  template <class Value>
  Text& add(Value value, std::initializer_list<std::string> labels = {},
            std::string_view suffix = "") {
    fmt::format_to(std::back_inserter(text_), "{}{}", family_, suffix);
    if (labels.size() != 0)
      fmt::format_to(std::back_inserter(text_), "{{{}}}", fmt::join(labels, ","));
    fmt::format_to(std::back_inserter(text_), " {}\n", value);
    return *this;
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  Text& begin(std::string_view name, std::string_view type, std::string_view help) {
    family_ = fmt::format("sluice_{}", name);
    fmt::format_to(std::back_inserter(text_), "# HELP {0} {1}\n# TYPE {0} {2}\n", family_, help,
                   type);
    return *this;
  }
  std::string family_;
  std::string text_;
};

struct WorkerFamily {
  bool is_gauge;
  std::string_view name, help;
  std::uint64_t (*value)(const Counts&);
};

constexpr WorkerFamily kWorkerFamilies[] = {
    {false, "packets_received_total", "Packets disposed of: passed or dropped.",
     [](const Counts& counts) { return counts.received; }},
    {false, "packets_passed_total", "Packets passed on.",
     [](const Counts& counts) { return counts.passed; }},
    {false, "bytes_passed_total", "Bytes of the frames passed on.",
     [](const Counts& counts) { return counts.bytes_passed; }},
    {true, "flows", "Connections that are live.",
     [](const Counts& counts) { return counts.flows_live; }},
    {true, "flows_embryonic", "Connections without a reply yet.",
     [](const Counts& counts) { return counts.flows_embryonic; }},
    {false, "flows_opened_total", "Connections opened.",
     [](const Counts& counts) { return counts.flows_opened; }},
    {false, "flows_adopted_total", "Connections met in their middle after a start.",
     [](const Counts& counts) { return counts.flows_adopted; }},
    {false, "flows_pressed_total", "Connections opened while less than a quarter was free.",
     [](const Counts& counts) { return counts.flows_pressed; }},
    {false, "flows_replaced_total", "Connections without a reply that gave way to newer ones.",
     [](const Counts& counts) { return counts.flows_replaced; }},
    {false, "flows_replaced_by_share_total", "The same, to others of their own remote host.",
     [](const Counts& counts) { return counts.flows_replaced_by_share; }},
    {true, "flow_cells_free", "Room for so many IPv4 connections; one of IPv6 takes two.",
     [](const Counts& counts) { return counts.cells_free; }},
    {true, "flow_cells", "The room that there is.",
     [](const Counts& counts) { return counts.cells_max; }},
    {true, "fragments_held", "Frames that wait for their first fragment.",
     [](const Counts& counts) { return counts.fragments_held; }},
    {true, "fragment_datagrams", "Datagrams in fragments that are tracked.",
     [](const Counts& counts) { return counts.datagrams_tracked; }},
    {false, "fragment_datagrams_replaced_total", "Datagrams that gave way before they were whole.",
     [](const Counts& counts) { return counts.datagrams_replaced; }},
};

std::string worker_label(std::size_t index) {
  return label("worker", std::to_string(index));
}

void add_workers(Text& text, const std::vector<WorkerReport>& workers) {
  for (const WorkerFamily& family : kWorkerFamilies) {
    family.is_gauge ? text.gauge(family.name, family.help) : text.counter(family.name, family.help);
    for (std::size_t i = 0; i < workers.size(); ++i)
      text.add(family.value(workers[i].counts), {worker_label(i)});
  }
  text.counter("packets_dropped_total", "Packets dropped, by reason.");
  for (std::size_t i = 0; i < workers.size(); ++i)
    for (std::size_t reason = 1; reason < dataplane::kDropReasons; ++reason)
      text.add(workers[i].counts.dropped[reason],
               {worker_label(i), label("reason", dataplane::kDropReasonTexts[reason].name)});
  const auto each = [&](auto value) {
    for (std::size_t i = 0; i < workers.size(); ++i)
      text.add(value(workers[i]),
               {worker_label(i), label("lcore", std::to_string(workers[i].lcore))});
  };
  text.counter("drops_not_recorded_total", "Drops of which no sample was taken.");
  each([](const WorkerReport& worker) { return worker.drops_not_recorded; });
  text.gauge("worker_generation", "The generation of the table that the worker runs.");
  each([](const WorkerReport& worker) { return worker.generation; });
  text.gauge("worker_silent_seconds", "For so long the worker has polled no port.");
  each([](const WorkerReport& worker) { return static_cast<double>(worker.silent_ms) / 1e3; });
  text.gauge("worker_hung", "1: longer than the watchdog allows.");
  each([](const WorkerReport& worker) { return worker.is_hung ? 1 : 0; });
}

void add_ports(Text& text, const std::vector<dataplane::PortReport>& ports) {
  const auto each = [&](auto value) {
    for (const auto& port : ports)
      text.add(value(port), {label("device", port.device), label("side", port.side)});
  };
  text.counter("port_received_packets_total", "Packets that the port received.");
  each([](const auto& port) { return port.rx_packets; });
  text.counter("port_sent_packets_total", "Packets that the port sent.");
  each([](const auto& port) { return port.tx_packets; });
  text.counter("port_missed_packets_total", "Packets lost before a worker saw them.");
  each([](const auto& port) { return port.rx_missed; });
}

void add_state(Text& text, const State& state, const TableReport& report) {
  text.gauge("generation", "The generation in force.").add(state.generation);
  text.gauge("security_groups", "Security groups.").add(state.node.groups.size());
  text.gauge("load_balancers", "Load balancers, by status.");
  std::map<std::string, std::size_t> by_status;
  for (const auto& [id, lb] : state.node.load_balancers)
    ++by_status[std::string(rules::to_string(lb->status))];
  for (const auto& [status, count] : by_status) text.add(count, {label("status", status)});
  text.gauge("changes_pending", "Changes that await confirmation.").add(state.pending.size());
  text.gauge("attachments_expiring", "Attachments that end by themselves.")
      .add(state.expiries.size());
  if (report.table == nullptr) return;
  text.gauge("table_policies", "Different sets of groups in the table.")
      .add(report.table->policies());
  text.gauge("table_bytes", "Memory of the table.").add(report.table->size_bytes());
  text.gauge("table_replica_bytes", "Of it, what each replica copies.")
      .add(report.table->image_bytes());
  text.gauge("compile_seconds", "Time of the last compile.")
      .add(static_cast<double>(report.compile_us) / 1e6);
  text.gauge("swap_seconds", "Time until every worker ran the last table.")
      .add(static_cast<double>(report.swap_us) / 1e6);
}

void add_http(Text& text, const HttpCounts& http) {
  text.counter("http_requests_total", "Requests answered, by status.");
  for (std::size_t status = 100; status < http.answers.size(); ++status)
    if (const std::uint64_t count = http.answers[status]; count != 0)
      text.add(count, {label("code", std::to_string(status))});
  text.histogram("http_request_duration_seconds", "From a request's head to its answer.");
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < http.took.size(); ++i) {
    below += http.took[i];
    const bool is_last = i == kRequestBucketsUs.size();
    const std::string bound =
        is_last ? "+Inf" : fmt::format("{}", static_cast<double>(kRequestBucketsUs[i]) / 1e6);
    text.add(below, {label("le", bound)}, "_bucket");
  }
  text.add(static_cast<double>(http.took_us_total) / 1e6, {}, "_sum").add(below, {}, "_count");
  text.gauge("http_connections", "Connections that are open.").add(http.connections.load());
  text.gauge("http_streams", "Event streams that are open.").add(http.streams.load());
  text.counter("http_connections_refused_total", "Connections turned away: too many.")
      .add(http.refused_connections.load());
}

// 0: unknown.
std::uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

std::string metrics_text(const Publisher& publisher, const HttpCounts* http) {
  Text text;
  text.gauge("build_info", "1, with the version as a label.")
      .add(1, {label("version", SLUICE_VERSION)});
  text.gauge("resident_memory_bytes", "Memory of the daemon without huge pages.")
      .add(resident_bytes());
  add_state(text, *publisher.state(), publisher.table());
  add_workers(text, publisher.dataplane().workers());
  add_ports(text, publisher.dataplane().ports());
  if (http != nullptr) add_http(text, *http);
  return text.take();
}

}  // namespace sluice::control
