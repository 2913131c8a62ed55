// SPDX-License-Identifier: Apache-2.0
//
// Copies of a table in memory of their own.
#include <memory_resource>
#include <new>
#include <utility>

#include "tests/table/table_bed.h"

namespace sluice::rules {
namespace {

using oracle::Random;

// Counts what it gave, and ends after `bytes_max`.
class CountingMemory final : public std::pmr::memory_resource {
 public:
  explicit CountingMemory(std::size_t bytes_max = ~std::size_t{0}) : bytes_max_(bytes_max) {}
  std::size_t bytes = 0;  // that somebody holds
  std::size_t taken = 0;  // allocations so far

 private:
  void* do_allocate(std::size_t size, std::size_t alignment) override {
    if (bytes + size > bytes_max_) throw std::bad_alloc();
    bytes += size;
    ++taken;
    return std::pmr::new_delete_resource()->allocate(size, alignment);
  }
  void do_deallocate(void* memory, std::size_t size, std::size_t alignment) override {
    bytes -= size;
    std::pmr::new_delete_resource()->deallocate(memory, size, alignment);
  }
  [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override {
    return this == &other;
  }
  std::size_t bytes_max_;
};

TEST(TableReplica, AnswersAsTheOriginalFromItsOwnMemory) {
  const std::uint64_t seed = tests::seed_of_run();
  Random random(seed);
  const Node node = oracle::random_node(random, {.groups = 5, .rules_per_group = 30});
  CountingMemory memory;
  {
    std::shared_ptr<const Table> replica;
    {
      const auto table = tests::compiled(node);
      replica = table->replica(memory, nullptr);
      EXPECT_EQ(memory.bytes, table->image_bytes());
      EXPECT_EQ(replica->image_bytes(), table->image_bytes());
    }
    // The original is gone for all but the replica.
    tests::compare(*replica, node, random, 4000, seed);
  }
  EXPECT_EQ(memory.bytes, 0u);
}

TEST(TableReplica, CopiesWhatChangedAndSharesTheRest) {
  Random random(5);
  Compiler compiler;
  Node node =
      oracle::random_node(random, {.groups = 8, .rules_per_group = 20, .load_balancers = 40});
  CountingMemory memory;
  auto last = (*compiler.compile(node, tests::kZones, 1))->replica(memory, nullptr);
  LoadBalancer lb = *node.load_balancers.at(1);
  lb.groups = {1, 3, 5, 7};
  node.load_balancers[1] = std::make_shared<const LoadBalancer>(lb);
  const auto table = *compiler.compile(node, tests::kZones, 2);
  const std::size_t before = memory.taken;
  const auto first = std::exchange(last, table->replica(memory, last.get()));
  EXPECT_LE(memory.taken, before + 2);  // a policy's two images
  EXPECT_EQ(last->generation(), 2u);
  for (const auto& [id, unchanged] : node.load_balancers) {
    const Address address = unchanged->addresses[0].address;
    const auto images = [&](const Table& of) {
      return of.policy(of.find_lb(0, address).policy).images;
    };
    for (std::size_t direction = 0; direction < 2; ++direction) {
      EXPECT_TRUE(*images(*last)[direction] == *images(*table)[direction]) << id;
      if (id != 1) {
        EXPECT_EQ(images(*last)[direction], images(*first)[direction]) << id;
      }
    }
  }
  tests::compare(*last, node, random, 4000, 5);
  EXPECT_LE(last->image_bytes(), memory.bytes);
}

TEST(TableReplica, LeavesNothingBehindWhereMemoryEnds) {
  Random random(6);
  const Node node =
      oracle::random_node(random, {.groups = 8, .rules_per_group = 20, .load_balancers = 20});
  const auto table = tests::compiled(node);
  CountingMemory memory(table->image_bytes() / 2);
  EXPECT_THROW((void)table->replica(memory, nullptr), std::bad_alloc);
  EXPECT_EQ(memory.bytes, 0u);

  // An earlier replica is as it was.
  CountingMemory more(table->image_bytes() * 3 / 2);
  const auto earlier = table->replica(more, nullptr);
  const std::size_t held = more.bytes;
  const auto other = tests::compiled(
      oracle::random_node(random, {.groups = 8, .rules_per_group = 30, .load_balancers = 40}));
  EXPECT_THROW((void)other->replica(more, earlier.get()), std::bad_alloc);
  EXPECT_EQ(more.bytes, held);
  tests::compare(*earlier, node, random, 1000, 6);
}

}  // namespace
}  // namespace sluice::rules
