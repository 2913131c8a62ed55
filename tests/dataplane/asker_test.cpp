// SPDX-License-Identifier: Apache-2.0
//
// Questions to workers that go on changing their tables meanwhile.
#include "dataplane/asker.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <set>
#include <thread>

#include "tests/dataplane/flow_table_bed.h"

namespace sluice::dataplane {
namespace {

// Where nobody is silent, only the machine can be slow.
constexpr Asker::Patience kPatient{std::chrono::seconds(60), std::chrono::seconds(60)};

// A worker that does nothing but answer, and whatever `each_round` says.
class AnsweringWorker {
 public:
  explicit AnsweringWorker(std::uint8_t number, std::uint32_t flows_max = 8192)
      : bed(flows_max), inquiry(number) {}
  ~AnsweringWorker() { stop(); }
  void start(std::function<void()> each_round = [] {}) {
    thread_ = std::thread([this, each_round] {
      while (!stop_) {
        each_round();
        if (inquiry.is_asked()) {
          inquiry.serve(bed.table, tally, nullptr, false);
        } else {
          std::this_thread::yield();
        }
      }
    });
  }
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }

  tests::FlowTableBed bed;
  std::unique_ptr<std::byte, void (*)(void*)> memory{
      static_cast<std::byte*>(std::memset(
          std::aligned_alloc(64, (Tally::size_bytes() + 63) / 64 * 64), 0, Tally::size_bytes())),
      std::free};
  Tally tally{{memory.get(), Tally::size_bytes()}};
  Inquiry inquiry;

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

std::set<std::uint16_t> ports_of(const FlowPage& page) {
  std::set<std::uint16_t> ports;
  for (const FlowReport& flow : page.flows)
    EXPECT_TRUE(ports.insert(flow.key.remote_port).second) << "twice: " << flow.key.remote_port;
  return ports;
}

TEST(Asker, ListsAllFlowsOfAllWorkersPageByPage) {
  AnsweringWorker a(0), b(1);
  std::set<std::uint16_t> expected;
  for (std::uint64_t i = 0; i < 1500; ++i) {
    const FlowKey key = tests::key_of(i, i % 3 == 0);
    tests::FlowTableBed& bed = (i % 2 ? a : b).bed;
    Flow* flow = bed.insert(key);
    ASSERT_NE(flow, nullptr);
    bed.reply(key, flow);  // without one a host may have a few only
    flow->rule = {4, static_cast<rules::RuleId>(i)};
    if (i % 5 == 0) bed.table.erase(flow);
    if (i % 5 != 0) expected.insert(key.remote_port);
  }
  a.start();
  b.start();
  Asker asker({&a.inquiry, &b.inquiry}, kPatient);
  for (const std::size_t limit : {7u, 256u, 300u, 5000u}) {
    std::set<std::uint16_t> seen;
    FlowCursor cursor;
    std::uint64_t left = expected.size();
    while (true) {
      const FlowPage page = asker.flows({}, cursor, limit);
      EXPECT_TRUE(page.is_counted_to_the_end);
      EXPECT_EQ(page.matched, left);
      EXPECT_EQ(page.flows.size(), std::min<std::size_t>(limit, left));
      seen.merge(ports_of(page));
      left -= page.flows.size();
      EXPECT_EQ(page.next.has_value(), left != 0);
      if (!page.next || testing::Test::HasFailure()) break;
      cursor = *page.next;
    }
    EXPECT_EQ(seen, expected) << "limit " << limit;
  }
  const FlowPage none = asker.flows({}, {}, 0);
  EXPECT_EQ(none.matched, expected.size());
  EXPECT_TRUE(none.flows.empty());
}

TEST(Asker, FiltersAndReportsWhatTheFlowIs) {
  AnsweringWorker worker(3);
  const FlowKey key = tests::key_of(17), other = tests::key_of(18, true);
  Flow* flow = worker.bed.insert(key);
  flow->flags |= kFlowOutbound | kFlowKept | kFlowDraining;
  flow->drain_until_s = worker.bed.table.now_s() + 50;
  flow->rule = {4, 44};
  worker.bed.reply(key, flow);
  Flow* ended = worker.bed.insert(other);
  worker.bed.at(11 * tests::kSecond);
  worker.start();
  Asker asker({&worker.inquiry}, kPatient);
  FlowFilter filter;
  filter.port = key.remote_port;
  const FlowPage page = asker.flows(filter, {}, 10);
  ASSERT_EQ(page.flows.size(), 1u);
  const FlowReport& report = page.flows[0];
  EXPECT_EQ(report.key, key);
  EXPECT_EQ(report.rule, (rules::RuleRef{4, 44}));
  EXPECT_EQ(report.state, FlowState::udp_replied);
  EXPECT_EQ(report.outlook, FlowOutlook::draining);
  EXPECT_EQ(report.opener, rules::Direction::outbound);
  EXPECT_TRUE(report.is_replied);
  EXPECT_EQ(report.idle_s, 10u);
  EXPECT_EQ(report.idle_left_s, 170u);
  EXPECT_EQ(report.drain_left_s, 40u);
  EXPECT_EQ(report.worker, 3u);
  const auto count = [&](auto change) {
    FlowFilter only;
    change(only);
    return asker.flows(only, {}, 10).matched;
  };
  EXPECT_EQ(count([](auto&) {}), 2u);
  EXPECT_EQ(count([](auto& f) { f.protocol = 6; }), 0u);
  EXPECT_EQ(count([](auto& f) { f.port = 53; }), 2u);
  EXPECT_EQ(count([](auto& f) { f.lb = 1; }), 0u) << "no table, no LBs";
  EXPECT_EQ(count([](auto& f) { f.states = 1u << static_cast<int>(FlowState::udp_unreplied); }),
            1u);
  const rules::Address v4{key.remote_high, key.remote_low, key.family};
  EXPECT_EQ(count([&](auto& f) { f.remote = rules::AddressRange{v4, v4}; }), 1u);
  EXPECT_EQ(count([&](auto& f) { f.local = rules::AddressRange{v4, v4}; }), 0u);
  EXPECT_TRUE(asker.flow(key));
  FlowKey unknown = key;
  unknown.local_port = 54;
  EXPECT_FALSE(asker.flow(unknown));
  worker.stop();
  // What a change has ended, and is only remembered, is no live flow.
  ended->flags |= kFlowEnded;
  AnsweringWorker* again = &worker;
  std::atomic<bool> done{false};
  std::thread answering([&] {
    while (!done)
      if (again->inquiry.is_asked())
        again->inquiry.serve(again->bed.table, again->tally, nullptr, true);
  });
  EXPECT_EQ(asker.flows({}, {}, 10).matched, 1u);
  EXPECT_FALSE(asker.flow(other));
  done = true;
  answering.join();
}

TEST(Asker, CopiesCountsThatAgreeWhileTheyGrow) {
  AnsweringWorker a(0), b(1);
  const auto grow = [](AnsweringWorker& worker) {
    return [&worker, n = std::uint32_t{0}]() mutable {
      const std::vector<rules::LbId> lbs{n % 300, n % 7};
      const std::vector<std::uint32_t> sizes{60, 70};
      ++n;
      worker.tally.passed(rules::Direction::inbound, lbs, sizes);
      worker.tally.dropped(n % 300, rules::Direction::inbound, DropReason::no_rule, 60);
      Verdict verdict;
      verdict.flow = FlowKind::fresh;
      verdict.rule = {1, n % 3000 + 1};
      worker.tally.judged(verdict);
    };
  };
  a.start(grow(a));
  b.start(grow(b));
  Asker asker({&a.inquiry, &b.inquiry}, kPatient);
  std::uint64_t last = 0;
  for (int i = 0; i < 20; ++i) {
    const TrafficReport report = asker.traffic();
    EXPECT_TRUE(report.silent_workers.empty());
    std::uint64_t received = 0;
    for (const LbReport& lb : report.lbs) {
      const DirectionCounts& lane = lb.passed.by_direction[0];
      EXPECT_EQ(lane.received,
                lane.passed + lb.dropped[0][static_cast<std::size_t>(DropReason::no_rule)]);
      received += lane.received;
    }
    EXPECT_GE(received, last);
    last = received;
  }
  asker.forget_counts_but_of({1, 2, 3}, {1, 2});
  a.stop();
  b.stop();
  std::uint64_t total = 0;
  for (AnsweringWorker* worker : {&a, &b}) total += worker->tally.counts.received;
  EXPECT_GE(total, last);
}

TEST(Asker, NamesAWorkerThatIsSilentAndGoesOnWithTheOthers) {
  AnsweringWorker silent(0), alive(1);
  ASSERT_NE(alive.bed.insert(tests::key_of(1)), nullptr);
  alive.start();
  Asker asker({&silent.inquiry, &alive.inquiry},
              {std::chrono::milliseconds(1500), std::chrono::seconds(60)});
  const FlowPage page = asker.flows({}, {}, 10);
  EXPECT_EQ(page.silent_workers, std::vector<unsigned>{0});
  EXPECT_FALSE(page.is_counted_to_the_end);
  EXPECT_EQ(page.flows.size(), 1u);
  EXPECT_EQ(asker.traffic().silent_workers, std::vector<unsigned>{0});
  // It goes on: what it was asked then is answered, and forgotten; it is asked anew.
  ASSERT_NE(silent.bed.insert(tests::key_of(2)), nullptr);
  silent.start();
  for (int i = 0; i < 60'000 && silent.inquiry.is_asked(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(asker.flows({}, {}, 10).flows.size(), 2u);
}

}  // namespace
}  // namespace sluice::dataplane
