// SPDX-License-Identifier: Apache-2.0
//
// The lookup for every CPU.
#include "rules/lookup_each.h"

namespace sluice::rules {
namespace {

struct Lanes {
  using Service = std::uint16_t;
  static Service service(std::uint16_t number) { return number; }
  static std::uint32_t address(std::uint32_t number) { return number; }
  static std::uint64_t address(std::uint64_t number) { return number; }

  static std::uint32_t list_parity(const Line* line, SetRef ref, Service s) {
    return turns_reached(
        reinterpret_cast<const std::uint16_t*>(line) + ref.place() * kTurnsPerPlace, ref.length(),
        s);
  }
  static std::uint32_t below16(const Line* line, Service s) {
    return count_below<kBordersPerLine>(reinterpret_cast<const std::uint16_t*>(line), s);
  }
  static std::uint32_t below(const std::uint32_t* borders, std::uint32_t a) {
    return count_below<16>(borders, a);
  }
  static std::uint32_t below(const std::uint64_t* borders, std::uint64_t a) {
    return count_below<8>(borders, a);
  }
  static std::uint32_t below4(const std::uint64_t* borders, std::uint64_t a) {
    return count_below<4>(borders, a);
  }

 private:
  static std::uint32_t turns_reached(const std::uint16_t* turns, std::uint32_t length, Service s) {
    std::uint32_t count = 0;
    for (std::uint32_t i = 0; i < length; ++i) count += turns[i] <= s;
    return count;
  }
  // Sorted: halving without a branch.
  template <std::uint32_t kCount, class Number>
  static std::uint32_t count_below(const Number* borders, Number number) {
    std::uint32_t at = 0;
    for (std::uint32_t half = kCount / 2; half != 0; half /= 2)
      at += borders[at + half - 1] < number ? half : 0;
    return at + (borders[at] < number);
  }
};

}  // namespace

std::uint64_t lookup_batch_scalar(const ImageSet& set, const PacketKey* keys,
                                  std::size_t count) noexcept {
  return lookup_each<Lanes>(set, keys, count);
}

}  // namespace sluice::rules
