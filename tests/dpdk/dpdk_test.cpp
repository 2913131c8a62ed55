// SPDX-License-Identifier: Apache-2.0
//
// Real workers on virtual ports that replay a capture without end: the swap and the handover.
#include "dataplane/dpdk/dpdk_dataplane.h"

#include <gtest/gtest.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "dataplane/offline/pcap_file.h"
#include "rules/compile.h"
#include "rules/node_json.h"
#include "tests/packet_builder.h"

namespace sluice::dataplane::dpdk {
namespace {

using namespace std::chrono_literals;
using tests::PacketBuilder;

std::string capture_of(const std::string& name, const std::vector<tests::Bytes>& frames) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("sluice-" + std::to_string(::getpid()) + name + ".pcap");
  auto writer = offline::PcapWriter::open(path.string());
  for (const auto& frame : frames) writer->write(0, frame);
  EXPECT_TRUE(writer->close());
  return path.string();
}

// UDP both ways between 16 clients and the LB; all of it allowed by "front".
struct Captures {
  std::string outside, inside;
  Captures() {
    std::vector<tests::Bytes> in, out;
    for (std::uint16_t i = 0; i < 16; ++i) {
      const std::string client = "10.1.0." + std::to_string(i + 1);
      in.push_back(PacketBuilder(client, "10.0.0.10").udp(4000 + i, 53).frame());
      out.push_back(PacketBuilder("10.0.0.10", client).udp(53, 4000 + i).frame());
    }
    outside = capture_of("outside", in);
    inside = capture_of("inside", out);
  }
  ~Captures() {
    std::filesystem::remove(outside);
    std::filesystem::remove(inside);
  }
};

DpdkConfig config_of(const Captures& captures, const char* workers) {
  DpdkConfig config;
  config.zones = {{"edge", "net_pcap0,infinite_rx=1,rx_pcap=" + captures.outside,
                   "net_pcap1,infinite_rx=1,rx_pcap=" + captures.inside, std::nullopt}};
  config.workers = workers;
  config.flows_max = 4096;
  config.huge_pages = false;
  return config;
}

// `extra`: with a group beside that has nothing to do with the traffic.
std::shared_ptr<const Snapshot> snapshot_of(std::uint64_t generation, bool extra, bool deny = false,
                                            FlowsOnChange flows = {}) {
  static rules::Compiler compiler;
  const std::string port = deny ? "54" : "53";
  const auto document = rules::node_from_json(*rules::parse_json(
      R"({"security_groups":[{"name":"front","rules":[
        {"rule_type":"Inbound","protocol_name":"UDP","port_range":")" +
      port + R"(","network":"any"},
        {"rule_type":"Outbound","protocol_name":"UDP","port_range":")" +
      (deny ? "1" : "All") +
      R"(","network":"any"}]},{"name":"extra","rules":[
        {"rule_type":"Inbound","protocol_name":"TCP","port_range":"9","network":"any"},
        {"rule_type":"Outbound","protocol_name":"TCP","port_range":"9","network":"any"}]}],
      "load_balancers":[{"name":"web","addresses":["10.0.0.10"],"security_groups":["front")" +
      (extra ? R"(,"extra")" : "") + "]}]}"));
  const std::vector<std::string> zones{"edge"};
  return std::make_shared<const Snapshot>(
      Snapshot{*compiler.compile(document->node, zones, generation), {}, flows});
}

Counts total_of(const DpdkDataplane& plane) {
  Counts total;
  for (const auto& worker : plane.workers()) {
    EXPECT_EQ(worker.counts.received, worker.counts.passed + worker.counts.dropped_total());
    total += worker.counts;
  }
  return total;
}

std::uint64_t dropped(const Counts& counts, DropReason reason) {
  return counts.dropped[static_cast<std::size_t>(reason)];
}

void expect_no_drop_but(const Counts& counts, std::initializer_list<DropReason> allowed) {
  for (std::size_t i = 0; i < kDropReasons; ++i) {
    const auto reason = static_cast<DropReason>(i);
    if (std::find(allowed.begin(), allowed.end(), reason) != allowed.end()) continue;
    EXPECT_EQ(counts.dropped[i], 0u) << to_string(reason);
  }
}

bool wait_until(auto condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

void swap_under_traffic(const char* workers, int swaps,
                        TableReplicas replicas = TableReplicas::per_node) {
  const Captures captures;
  DpdkConfig config = config_of(captures, workers);
  config.table_replicas = replicas;
  auto opened = DpdkDataplane::open(config);
  ASSERT_TRUE(opened) << opened.error().message;
  DpdkDataplane& plane = **opened;

  // Before the first table: frames arrive, none leaves.
  ASSERT_TRUE(wait_until([&] { return total_of(plane).received > 1000; }));
  EXPECT_EQ(total_of(plane).passed, 0u);

  std::uint64_t generation = 0;
  for (int i = 0; i < swaps; ++i) {
    const auto swapped = plane.publish(snapshot_of(++generation, i % 2 == 0));
    ASSERT_TRUE(swapped) << swapped.error().message;
  }
  ASSERT_TRUE(wait_until([&] { return total_of(plane).passed > 10'000; }));
  for (const auto& worker : plane.workers()) EXPECT_EQ(worker.generation, generation);
  const Counts allowed = total_of(plane);
  // Not one packet of the traffic that every table allowed was dropped by a verdict. (The ports
  // have no sender on their other side, so frames may find them or the queues full.)
  expect_no_drop_but(allowed,
                     {DropReason::no_table, DropReason::handover_full, DropReason::transmit_full});

  // Kept: the 16 flows are counted, and their packets pass by no rule.
  const std::uint64_t refused = dropped(total_of(plane), DropReason::revoked);
  const auto kept = plane.publish(snapshot_of(++generation, false, true, {FlowFate::keep, 0}));
  ASSERT_TRUE(kept) << kept.error().message;
  EXPECT_EQ(kept->flows, (FateCounts{generation, 0, 16, 0, 1}));
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(dropped(total_of(plane), DropReason::revoked), refused);
  ASSERT_TRUE(plane.publish(snapshot_of(++generation, false)));

  // Acknowledged is enforced: of what is received after the publish, nothing passes.
  const auto cut = plane.publish(snapshot_of(++generation, false, true));
  ASSERT_TRUE(cut) << cut.error().message;
  EXPECT_EQ(cut->flows, (FateCounts{generation, 16, 0, 0, 1}));
  const std::uint64_t passed = total_of(plane).passed;
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(total_of(plane).passed, passed);
  EXPECT_GT(dropped(total_of(plane), DropReason::revoked), 0u);
  EXPECT_GT(dropped(total_of(plane), DropReason::no_rule), 0u);
}

TEST(DpdkDataplane, SwapsUnderTrafficWithoutAWrongVerdict) {
  swap_under_traffic("1", 2000);
}

TEST(DpdkDataplane, SwapsTheSameWithTwoWorkersThatHandOver) {
  if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "needs two CPUs";
  swap_under_traffic("2", 500);
}

TEST(DpdkDataplane, SwapsTheSameWithATableForEachWorkerOrOneForAll) {
  if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "needs two CPUs";
  swap_under_traffic("2", 300, TableReplicas::per_worker);
}

TEST(DpdkDataplane, SwapsTheSameWithTheCompilersOwnTable) {
  swap_under_traffic("1", 300, TableReplicas::shared);
}

TEST(DpdkDataplane, RefusesATableThatItsMemoryDoesNotHoldAndGoesOnWithTheLast) {
  const Captures captures;
  DpdkConfig config = config_of(captures, "1");
  auto opened = DpdkDataplane::open(config);
  ASSERT_TRUE(opened) << opened.error().message;
  ASSERT_TRUE((*opened)->publish(snapshot_of(1, false)));
  // Far more than there is without huge pages: LBs with many nested networks, each of a port of
  // its own.
  rules::Node node;
  for (std::uint32_t id = 1; id <= 16; ++id) {
    rules::Group group;
    group.id = id;
    for (std::uint32_t i = 0; i < 1200; ++i) {
      rules::Rule rule;
      rule.protocol.kind = rules::ProtocolKind::custom_tcp;
      const auto port = static_cast<std::uint16_t>(i * 2);
      rule.ports.ranges = {{port, port}};
      rule.network = {rules::NetworkType::manual,
                      {rules::Address::ipv4(i + id), rules::Address::ipv4(1'000'000 - i)},
                      0};
      group.rules.push_back(rule);
    }
    node.groups[id] = std::make_shared<const rules::Group>(group);
    rules::LoadBalancer lb;
    lb.id = id;
    lb.groups = {id};
    node.load_balancers[id] = std::make_shared<const rules::LoadBalancer>(lb);
  }
  const std::vector<std::string> zones{"edge"};
  const auto table = rules::Compiler().compile(node, zones, 2);
  ASSERT_TRUE(table) << table.error().message;
  ASSERT_GT((*table)->size_bytes(), kReplicaRoomBytes * 2);
  const auto refused =
      (*opened)->publish(std::make_shared<const Snapshot>(Snapshot{*table, {}, {}}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, rules::ErrorCode::capacity);
  EXPECT_NE(refused.error().message.find("--table-replicas shared"), std::string::npos);
  for (const auto& worker : (*opened)->workers()) EXPECT_EQ(worker.generation, 1u);
  EXPECT_TRUE((*opened)->publish(snapshot_of(3, false)));
}

// Datagrams in three pieces each way, every second one with its last piece first.
struct FragmentCaptures : Captures {
  FragmentCaptures() {
    std::filesystem::remove(outside);
    std::filesystem::remove(inside);
    std::vector<tests::Bytes> in, out;
    for (std::uint16_t i = 0; i < 16; ++i) {
      const std::string client = "10.1.0." + std::to_string(i + 1);
      const auto add = [&](std::vector<tests::Bytes>& to, PacketBuilder packet) {
        const tests::Bytes data(16, 1);
        if (i % 2 == 1) to.push_back(packet.frame());
        auto later = packet;
        const auto first = packet.fragment(0, true, i).frame();
        const auto middle = later.payload_of_fragment(data).fragment(32, true, i).frame();
        const auto last = later.fragment(48, false, i).frame();
        if (i % 2 == 0) {
          to.insert(to.end(), {first, middle, last});
        } else {
          to.back() = last;
          to.insert(to.end(), {middle, first});
        }
      };
      add(in, PacketBuilder(client, "10.0.0.10").udp(4000 + i, 53, 24));
      add(out, PacketBuilder("10.0.0.10", client).udp(53, 4000 + i, 24));
    }
    outside = capture_of("outside", in);
    inside = capture_of("inside", out);
  }
};

void pass_fragments(const char* workers) {
  const FragmentCaptures captures;
  auto opened = DpdkDataplane::open(config_of(captures, workers));
  ASSERT_TRUE(opened) << opened.error().message;
  DpdkDataplane& plane = **opened;
  ASSERT_TRUE(plane.publish(snapshot_of(1, false)));
  // Longer than a datagram is remembered, so that frames are held again and again.
  std::uint64_t held_most = 0;
  for (int i = 0; i < 300; ++i) {
    held_most = std::max(held_most, total_of(plane).fragments_held);
    std::this_thread::sleep_for(10ms);
  }
  const Counts allowed = total_of(plane);
  EXPECT_GT(allowed.passed, 10'000u);
  EXPECT_LE(allowed.datagrams_tracked, 32u);
  EXPECT_LE(held_most, 32u * 2);
  expect_no_drop_but(allowed,
                     {DropReason::no_table, DropReason::handover_full, DropReason::transmit_full});
  // A table that denies ends the datagrams too, and the frames held then are counted.
  ASSERT_TRUE(plane.publish(snapshot_of(2, false, true)));
  const std::uint64_t passed = total_of(plane).passed;
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(total_of(plane).passed, passed);
  EXPECT_GT(dropped(total_of(plane), DropReason::revoked), 0u);
}

TEST(DpdkDataplane, PassesFragmentsWithTheirDatagram) {
  pass_fragments("1");
}

TEST(DpdkDataplane, PassesFragmentsTheSameWithTwoWorkers) {
  if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "needs two CPUs";
  pass_fragments("2");
}

// The thread of an lcore, by the name that DPDK gives it; 0: not there.
pid_t thread_of_lcore(unsigned lcore) {
  const std::string name = "worker-" + std::to_string(lcore);  // with "rte-" or "lcore-" before it
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "comm");
    std::string comm;
    if (std::getline(file, comm) && comm.ends_with(name))
      return static_cast<pid_t>(std::stol(task.path().filename().string()));
  }
  return 0;
}

// Stops one thread of this process, as a debugger does, from a process of its own.
class StoppedThread {
 public:
  explicit StoppedThread(pid_t thread) {
    EXPECT_EQ(::pipe(pipe_), 0);
    tracer_ = ::fork();
    if (tracer_ == 0) {
      char go_on = 0;
      const bool stopped = ::ptrace(PTRACE_SEIZE, thread, nullptr, nullptr) == 0 &&
                           ::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr) == 0 &&
                           ::waitpid(thread, nullptr, __WALL) == thread;
      ::close(pipe_[1]);
      while (stopped && ::read(pipe_[0], &go_on, 1) > 0) {
      }
      ::_exit(stopped ? 0 : 1);  // the thread goes on when its tracer ends
    }
    ::close(pipe_[0]);
  }
  // False: it could not be stopped here.
  bool let_go() {
    ::close(pipe_[1]);
    int status = 1;
    ::waitpid(tracer_, &status, 0);
    return status == 0;
  }

 private:
  int pipe_[2] = {-1, -1};
  pid_t tracer_ = 0;
};

TEST(DpdkDataplane, RaisesAnAlarmForAWorkerThatHangs) {
  const Captures captures;
  DpdkConfig config = config_of(captures, "1");
  config.watchdog_ms = 200;
  std::mutex mutex;
  std::vector<WorkerAlarm> alarms;
  config.alarm = [&](const WorkerAlarm& alarm) {
    const std::lock_guard lock(mutex);
    alarms.push_back(alarm);
  };
  auto opened = DpdkDataplane::open(config);
  ASSERT_TRUE(opened) << opened.error().message;
  ASSERT_TRUE((*opened)->publish(snapshot_of(1, false)));
  ASSERT_TRUE(wait_until([&] { return total_of(**opened).passed > 0; }));
  EXPECT_FALSE((*opened)->workers()[0].is_hung);

  const pid_t thread = thread_of_lcore(1);
  ASSERT_NE(thread, 0);
  StoppedThread stopped(thread);
  const bool noticed = wait_until([&] { return (*opened)->workers()[0].is_hung; });
  const auto refused =
      noticed ? (*opened)->publish(snapshot_of(2, false)) : rules::Result<SwapReport>(SwapReport{});
  const std::uint64_t silent_ms = (*opened)->workers()[0].silent_ms;
  if (!stopped.let_go()) GTEST_SKIP() << "a thread cannot be stopped here (ptrace)";
  ASSERT_TRUE(noticed);
  EXPECT_GE(silent_ms, 1000u);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, rules::ErrorCode::unavailable);
  EXPECT_NE(refused.error().message.find("worker 0 (lcore 1) does not answer"), std::string::npos)
      << refused.error().message;

  ASSERT_TRUE(wait_until([&] { return !(*opened)->workers()[0].is_hung; }));
  EXPECT_TRUE((*opened)->publish(snapshot_of(3, false)));
  const std::lock_guard lock(mutex);
  ASSERT_EQ(alarms.size(), 2u) << "once, however long";
  EXPECT_TRUE(alarms[0].hangs);
  EXPECT_EQ(alarms[0].lcore, 1u);
  EXPECT_GE(alarms[0].silent_ms, 200u);
  EXPECT_FALSE(alarms[1].hangs);
  EXPECT_GE(alarms[1].silent_ms, 1000u);
}

// net_null has queues and a redirection table, and fills every queue with frames of zeros.
TEST(DpdkDataplane, PollsAQueueAWorkerWherePortsSpreadByThemselves) {
  if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "needs two CPUs";
  const Captures captures;
  DpdkConfig config = config_of(captures, "2");
  config.zones[0].outside = "net_null0";
  config.zones[0].inside = "net_null1";
  auto opened = DpdkDataplane::open(config);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_TRUE((*opened)->spreads_by_ports());
  ASSERT_TRUE((*opened)->publish(snapshot_of(1, false)));
  const auto workers = [&] { return (*opened)->workers(); };
  EXPECT_TRUE(wait_until(
      [&] { return workers()[0].counts.received > 1000 && workers()[1].counts.received > 1000; }));
  EXPECT_EQ(total_of(**opened).passed, 0u);
  // Frames of no flow stay where they came in.
  EXPECT_EQ(dropped(total_of(**opened), DropReason::handover_full), 0u);
}

TEST(DpdkDataplane, HandsOverWherePortsShallNotSpread) {
  if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "needs two CPUs";
  const Captures captures;
  DpdkConfig config = config_of(captures, "2");
  config.zones[0].outside = "net_null0";
  config.zones[0].inside = "net_null1";
  config.rss = false;
  auto opened = DpdkDataplane::open(config);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_FALSE((*opened)->spreads_by_ports());
}

TEST(DpdkDataplane, RefusesWhatItCannotOpenAndSaysWhatToDo) {
  struct Case {
    const char* description;
    DpdkConfig config;
    const char* part;
  };
  const Captures captures;
  auto changed = [&](auto change) {
    DpdkConfig config = config_of(captures, "1");
    change(config);
    return config;
  };
  const Case kCases[] = {
      {"no zone", changed([](auto& c) { c.zones.clear(); }), "at least one"},
      {"no worker", changed([](auto& c) { c.workers = "0"; }), "workers"},
      {"too many workers", changed([](auto& c) { c.workers = "1000"; }), "CPUs"},
      {"a CPU that is not there", changed([](auto& c) { c.workers = "900-901"; }), "CPU 900"},
      {"a list that is none", changed([](auto& c) { c.workers = "a,b"; }), "count"},
      {"a CPU twice", changed([](auto& c) { c.workers = "0,0"; }), "twice"},
      {"no flows", changed([](auto& c) { c.flows_max = 0; }), "flows-max"},
      {"no datagrams", changed([](auto& c) { c.datagrams_max = 0; }), "datagrams-max"},
      {"one device twice", changed([](auto& c) { c.zones[0].inside = c.zones[0].outside; }),
       "same"},
      {"one name twice", changed([](auto& c) { c.zones.push_back(c.zones[0]); }), "twice"},
      {"no such interface",
       changed([](auto& c) { c.zones[0].inside = "net_af_packet0,iface=nosuch0"; }), "nosuch0"},
  };
  for (const Case& c : kCases) {
    const auto opened = DpdkDataplane::open(c.config);
    ASSERT_FALSE(opened) << c.description;
    EXPECT_NE(opened.error().message.find(c.part), std::string::npos)
        << c.description << ": " << opened.error().message;
  }
}

}  // namespace
}  // namespace sluice::dataplane::dpdk
