// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dpdk/eal.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>

namespace sluice::dataplane::dpdk {
namespace {

using rules::ErrorCode;
using rules::fail;

bool started = false;  // DPDK cannot be initialised twice in one process

std::vector<unsigned> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<unsigned> cpus;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return cpus;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  return cpus;
}

std::string list_of(const std::vector<unsigned>& cpus) {
  std::string text;
  for (unsigned cpu : cpus) text += (text.empty() ? "" : ",") + std::to_string(cpu);
  return text;
}

std::optional<unsigned> parse_number(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || value > 1023)
    return std::nullopt;
  return value;
}

tl::unexpected<rules::Error> bad_workers(std::string_view text, const std::string& why) {
  return fail(ErrorCode::invalid, "workers \"" + std::string(text) + "\": " + why +
                                      "; write a count such as 1, or CPUs such as 2,4-6");
}

std::size_t free_huge_page_bytes() {
  std::ifstream file("/proc/meminfo");
  std::size_t pages = 0, page_kib = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    if (name == "HugePages_Free:") words >> pages;
    if (name == "Hugepagesize:") words >> page_kib;
  }
  return pages * page_kib * 1024;
}

std::vector<std::string> arguments_of(const EalConfig& config, std::size_t memory_mib) {
  std::vector<unsigned> others = allowed_cpus();
  std::erase_if(others, [&](unsigned cpu) {
    return std::find(config.worker_cpus.begin(), config.worker_cpus.end(), cpu) !=
           config.worker_cpus.end();
  });
  if (others.empty()) others = config.worker_cpus;
  // The main lcore forwards nothing: it floats over the CPUs that no worker burns.
  std::string lcores = "0@(" + list_of(others) + ")";
  for (std::size_t i = 0; i < config.worker_cpus.size(); ++i)
    lcores += "," + std::to_string(i + 1) + "@" + std::to_string(config.worker_cpus[i]);
  std::vector<std::string> arguments{"sluiced",
                                     "--lcores",
                                     lcores,
                                     "--main-lcore",
                                     "0",
                                     "--file-prefix",
                                     "sluice" + std::to_string(getpid()),
                                     "--no-telemetry",
                                     "--log-level",
                                     "*:error"};
  if (config.huge_pages) {
    arguments.emplace_back("--in-memory");
  } else {
    arguments.insert(arguments.end(), {"--no-huge", "-m", std::to_string(memory_mib)});
  }
  if (config.pci_devices.empty()) arguments.emplace_back("--no-pci");
  for (const std::string& device : config.pci_devices)
    arguments.insert(arguments.end(), {"-a", device});
  std::istringstream further(config.further);
  for (std::string word; further >> word;) arguments.push_back(word);
  return arguments;
}

}  // namespace

rules::Result<std::vector<unsigned>> parse_workers(std::string_view text) {
  const std::vector<unsigned> allowed = allowed_cpus();
  std::vector<unsigned> cpus;
  if (const auto count = parse_number(text)) {
    if (*count == 0) return bad_workers(text, "at least one worker is needed");
    if (*count > allowed.size()) {
      return bad_workers(text, "only " + std::to_string(allowed.size()) + " CPUs may be used (" +
                                   list_of(allowed) + ")");
    }
    return std::vector<unsigned>(allowed.end() - static_cast<std::ptrdiff_t>(*count),
                                 allowed.end());
  }
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(item.size() + 1, rest.size()));
    const std::size_t dash = item.find('-');
    const auto first = parse_number(item.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_number(item.substr(dash + 1));
    if (!first || !last || *first > *last) return bad_workers(text, "not a count or list of CPUs");
    for (unsigned cpu = *first; cpu <= *last; ++cpu) cpus.push_back(cpu);
  }
  std::sort(cpus.begin(), cpus.end());
  if (cpus.empty()) return bad_workers(text, "at least one worker is needed");
  if (std::adjacent_find(cpus.begin(), cpus.end()) != cpus.end())
    return bad_workers(text, "a CPU stands twice");
  for (unsigned cpu : cpus) {
    if (std::find(allowed.begin(), allowed.end(), cpu) == allowed.end()) {
      return bad_workers(text, "CPU " + std::to_string(cpu) +
                                   " may not be used (allowed: " + list_of(allowed) + ")");
    }
  }
  return cpus;
}

rules::Result<void> start_eal(const EalConfig& config) {
  if (started) return fail(ErrorCode::system, "DPDK can be started only once in a process");
  const std::size_t memory_mib = (config.memory_bytes >> 20) + 64;
  if (config.huge_pages && free_huge_page_bytes() < (memory_mib << 20)) {
    return fail(ErrorCode::system,
                "not enough free huge pages: " + std::to_string(memory_mib) + " MiB needed, " +
                    std::to_string(free_huge_page_bytes() >> 20) +
                    " MiB free; run scripts/hugepages " + std::to_string(memory_mib) +
                    ", lower --flows-max, or start with --no-huge (slower)");
  }
  std::vector<std::string> arguments = arguments_of(config, memory_mib);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0) {
    return fail(ErrorCode::system, std::string("DPDK did not start (") + rte_strerror(rte_errno) +
                                       "); check the --eal arguments, and that you are root");
  }
  started = true;
  return {};
}

void stop_eal() {
  rte_eal_cleanup();
}

}  // namespace sluice::dataplane::dpdk
