// SPDX-License-Identifier: Apache-2.0
//
// Eight clients ask for random changes, valid and not, of a node whose process and power end in
// between and whose disk and workers fail. Every answer, every state and every table is held
// against a stupid twin; after each end the node is found with every acknowledged change, no
// refused one, and of what was in flight all or nothing.
//
// SLUICE_SEED draws the same asks again (their order is the threads' own: what happened is told
// where it fails), SLUICE_CHANGE_SEQUENCES=N plays N nodes.
#include <gtest/gtest.h>

#include <cstdlib>
#include <future>
#include <random>
#include <thread>

#include "tests/control/change_book.h"

namespace sluice::tests {
namespace {

constexpr unsigned kClients = 8, kLives = 6, kAsksOfAClient = 40;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* given = std::getenv(name);
  return given != nullptr ? std::strtoull(given, nullptr, 10) : otherwise;
}

struct Totals {
  unsigned done = 0, refused = 0, by_the_node = 0, dry_runs = 0, generations = 0, shared = 0;
  unsigned deaths = 0, in_commit = 0, kept = 0;
};

class Sequence {
 public:
  explicit Sequence(std::uint64_t seed)
      : seed_(seed), random_(seed), vfs_(seed), book_(vfs_, seed) {}

  void play(Totals& totals) {
    for (unsigned life = 0; life < kLives && !has_failed(); ++life) live(life);
    book_.expects_faults = false;
    if (!has_failed()) live_shortly();
    totals.done += book_.done;
    totals.refused += book_.refused;
    totals.by_the_node += book_.by_the_node;
    totals.dry_runs += book_.dry_runs;
    totals.generations += book_.generations;
    totals.shared += book_.shared;
    totals.deaths += book_.deaths;
    totals.in_commit += book_.deaths_in_commit;
    totals.kept += book_.kept_in_flight;
  }

 private:
  static bool has_failed() { return testing::Test::HasFailure(); }

  // How this life ends: by itself, at an operation of the disk, or after an answer.
  void draw_end() {
    using oracle::below;
    const Fault faults[] = {Fault::none,     Fault::killed, Fault::power_lost, Fault::power_lost,
                            Fault::io_error, Fault::full,   Fault::torn_write};
    const Fault fault = faults[below(random_, std::size(faults))];
    worker_hangs_ = oracle::chance(random_, 20);
    book_.expects_faults = fault != Fault::none || worker_hangs_;
    if (fault != Fault::none) vfs_.fail_at(vfs_.operations() + 1 + below(random_, 900), fault);
    book_.die_after(0, false);
    if (oracle::chance(random_, 40))
      book_.die_after(1 + static_cast<unsigned>(below(random_, kClients * kAsksOfAClient)),
                      oracle::chance(random_, 50));
  }

  void live(unsigned life) {
    draw_end();
    if (book_.open()) {
      FakeDataplane plane;
      control::Publisher publisher(book_, plane, {}, [this] { return now_.load(); });
      book_.watch(publisher, plane);
      if (publisher.start()) {
        if (!book_.expects_faults) book_.check_nothing_due(now_);
        ask_from_all(life, publisher, plane);
      } else if (!book_.expects_faults) {
        ADD_FAILURE() << "the node does not start";
      }
      publisher.stop();
    }
    book_.close();
    if (!vfs_.is_dead() && oracle::chance(random_, 50)) vfs_.cut_power();
    vfs_.reboot();
    now_ += static_cast<std::int64_t>(oracle::below(random_, 100'000));
  }

  // Nothing fails any more: it starts, and does what is due before anything is forwarded.
  void live_shortly() {
    ASSERT_TRUE(book_.open());
    FakeDataplane plane;
    control::Publisher publisher(book_, plane, {}, [this] { return now_.load(); });
    book_.watch(publisher, plane);
    ASSERT_TRUE(publisher.start());
    book_.check_nothing_due(now_);
    publisher.stop();
    book_.close();
  }

  void ask_from_all(unsigned life, control::Publisher& publisher, FakeDataplane& plane) {
    std::vector<std::thread> clients;
    for (unsigned client = 0; client < kClients; ++client)
      clients.emplace_back([&, client] {
        oracle::Random random(seed_ * 1000 + life * 10 + client);
        for (unsigned i = 0; i < kAsksOfAClient && !book_.is_dead() && !has_failed(); ++i) {
          if (oracle::chance(random, 10))
            now_ += static_cast<std::int64_t>(oracle::below(random, 30'000));
          if (client == 0 && worker_hangs_) plane.hangs = oracle::chance(random, 20);
          ask(random_ask(random, *publisher.state()), publisher);
        }
      });
    for (std::thread& client : clients) client.join();
    plane.hangs = false;
    // Its turn comes after whatever was due before it.
    if (book_.is_dead() || has_failed()) return;
    Ask last;
    last.kind = AskKind::confirm;
    ask(last, publisher);
    std::promise<void> all_done;
    publisher.with_store([&](control::Store*) {
      if (!book_.expects_faults) book_.check_nothing_due(now_);
      all_done.set_value();
    });
    all_done.get_future().wait();
  }

  void ask(const Ask& asked, control::Publisher& publisher) {
    unsigned number = 0;
    std::promise<void> answer;
    auto request = request_of(asked, book_.enter(asked, number));
    publisher.submit(std::move(request), [&](const rules::Result<control::Applied>& result) {
      book_.answered(number, result);
      answer.set_value();
    });
    answer.get_future().wait();
  }

  const std::uint64_t seed_;
  oracle::Random random_;
  MemoryVfs vfs_;
  ChangeBook book_;
  std::atomic<std::int64_t> now_{1'800'000'000'000};
  bool worker_hangs_ = false;
};

TEST(ChangeSequence, EveryAcknowledgedStateIsTheTwinsOverCrashes) {
  const std::uint64_t seed = from_environment("SLUICE_SEED", std::random_device{}());
  const std::uint64_t sequences = from_environment("SLUICE_CHANGE_SEQUENCES", 4);
  Totals totals;
  for (std::uint64_t i = 0; i < sequences && !HasFailure(); ++i) {
    Sequence(seed + i).play(totals);
  }
  std::printf(
      "seed %llu: %u changes done (%u shared a generation), %u refused, %u by the node, %u tried; "
      "%u generations; %u crashes, %u in a commit, %u of which were kept\n",
      static_cast<unsigned long long>(seed), totals.done, totals.shared, totals.refused,
      totals.by_the_node, totals.dry_runs, totals.generations, totals.deaths, totals.in_commit,
      totals.kept);
}

}  // namespace
}  // namespace sluice::tests
