// SPDX-License-Identifier: Apache-2.0
//
// The bytes a lookup reads: one policy in one direction, in one run of cache lines. Places in it
// are offsets, never pointers, so an image can be copied anywhere as it is. What the parts mean
// and why: the essay in rules/table.h.
//
//   head lines      a FamilyHead for each family
//   kEmptyLine      ones: no border, an empty slot
//   kNothingLine    zeros: a port map that is empty, a slice that begins at the first border
//   then            port maps, slices, borders, columns and sets, in the order they were written
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <vector>

#include "rules/service_axis.h"

namespace sluice::rules {

inline constexpr std::size_t kLineBytes = 64;
struct alignas(kLineBytes) Line {
  std::byte bytes[kLineBytes];
};
inline constexpr std::size_t kLinesMax = std::size_t{1} << 21;  // 128 MiB an image

// A set of service numbers, in the smallest form that holds it.
enum class SetKind : std::uint8_t {
  list = 0,    // up to kListMax turns inside one line
  pages = 1,   // a line of 32 last borders, then up to 33 lines of borders
  bitmap = 2,  // 65,536 bits
  // No sets, but what says more of the low 64 bits of the address (IPv6 only):
  leaf = 4,  // a LowLeaf
  row = 5,   // a FamilyHead
};

// A list holds turns: the numbers from which on membership is the other one, beginning with "not
// in". A number is in if an odd count of turns is at or below it.
inline constexpr std::size_t kListMax = 31;
inline constexpr std::size_t kTurnsPerPlace = 4;
// Pages hold borders: the numbers after which membership changes. 65535 is never one (nothing is
// greater), so it fills lines up without changing a count.
inline constexpr std::size_t kBordersPerLine = 32;
inline constexpr std::size_t kPagesMax = 33 * kBordersPerLine;

// line:21 | kind:3 | length:5 | place:3. The fields stand where a lookup takes them with one
// instruction each. Zero: the empty set.
struct SetRef {
  std::uint32_t bits = 0;

  // always_inline: also compiled for wider instruction sets (lookup_stages.h), where a copy that
  // is not inlined must never become the one that the linker keeps for everybody.
  [[nodiscard, gnu::always_inline]] constexpr std::uint32_t line() const { return bits >> 11; }
  [[nodiscard, gnu::always_inline]] constexpr SetKind kind() const {
    return static_cast<SetKind>((bits >> 8) & 7);
  }
  [[nodiscard, gnu::always_inline]] constexpr bool is_list() const { return (bits & 0x700) == 0; }
  // A leaf or a row.
  [[nodiscard, gnu::always_inline]] constexpr bool is_low() const { return (bits & 0x400) != 0; }
  // List: count of turns. Pages: whether number 0 is in.
  [[nodiscard, gnu::always_inline]] constexpr std::uint32_t length() const {
    return (bits >> 3) & 31;
  }
  // In units of kTurnsPerPlace turns.
  [[nodiscard, gnu::always_inline]] constexpr std::uint32_t place() const { return bits & 7; }
  bool operator==(const SetRef&) const = default;
};
[[nodiscard]] constexpr SetRef set_ref(SetKind kind, std::size_t line, std::size_t length = 0,
                                       std::size_t place = 0) {
  return {static_cast<std::uint32_t>((line << 11) | (static_cast<std::size_t>(kind) << 8) |
                                     (length << 3) | place)};
}

// What holds in an interval for one axis: up to kSlotTurns turns of the set, as in a list, filled
// up with 65535; or, where that does not do, a SetRef in the low bits and zero in the last turn.
inline constexpr std::size_t kSlotTurns = 4;
struct SetSlot {
  std::uint64_t bits = ~std::uint64_t{0};  // the empty set

  [[nodiscard, gnu::always_inline]] constexpr bool is_ref() const { return (bits >> 48) == 0; }
  [[nodiscard, gnu::always_inline]] constexpr SetRef ref() const {
    return {static_cast<std::uint32_t>(bits)};
  }
  [[nodiscard, gnu::always_inline]] constexpr std::uint32_t turn(unsigned i) const {
    return static_cast<std::uint32_t>(bits >> (16 * i)) & 0xffff;
  }
  // Of a slot that is no ref: is the number in its set? No turn of its own is 65535.
  [[nodiscard, gnu::always_inline]] constexpr bool holds(std::uint32_t number) const {
    std::uint32_t reached = 0;
    for (unsigned i = 0; i < kSlotTurns; ++i)
      reached += static_cast<std::uint32_t>((turn(i) <= number) & (turn(i) != 0xffff));
    return reached & 1u;
  }
  bool operator==(const SetSlot&) const = default;
};

// Remote address -> interval: the count of borders (the last addresses of intervals) below it. One
// comparison tells how many of kFan borders in a row are below, wherever the row begins.
template <class Number>
inline constexpr std::size_t kFan = kLineBytes / sizeof(Number);  // 16 and 8

// A port map: 256 pages of 256 services as bits, equal pages stored once. One byte a page says
// which; the pages stand behind.
inline constexpr std::size_t kPortMapPages = 256;
inline constexpr std::size_t kPageBytes = 32;

// Borders in levels: level 0 has all of them, each other one every kFan-th of the level below.
// A walk begins in the last level, where the address's slice says (address_slices.h), and ends in
// level 0; what it has counted in one level times kFan is where it goes on in the next. Behind the
// borders of a level stand kFan numbers of all ones. Offsets are in bytes from the image.
inline constexpr std::size_t kLevelsMax = 7;
inline constexpr std::size_t kPieces = 4;
struct alignas(kLineBytes) FamilyHead {
  std::uint64_t top = 0;  // no address needs to be told from one above it
  std::uint64_t last[kPieces - 1] = {~std::uint64_t{0}, ~std::uint64_t{0}, ~std::uint64_t{0}};
  std::uint64_t base[kPieces] = {};       // where the first slice of a piece begins
  std::uint32_t shift[kPieces] = {};      // slices of a piece: 1 << shift addresses each
  std::uint32_t slices_at[kPieces] = {};  // 32-bit numbers, a slice each
  std::uint32_t pieces = 1;
  std::uint32_t slices = 1;    // of all pieces, which stand in a row
  std::uint32_t levels = 0;    // 0: no rule names a network
  std::uint32_t constant = 0;  // bit a: one set holds everywhere on axis a
  std::uint32_t level_at[kLevelsMax] = {};
  // By axis. Column: the SetSlot of interval i stands at sets_at + 8 * i, or at sets_at.
  std::uint32_t sets_at[kAxes] = {};
  // IPv4 and high halves only: the port map of the services open to every address of the family.
  std::uint32_t any_at[kAxes] = {};

  [[nodiscard, gnu::always_inline]] constexpr std::uint32_t interval_mask(std::size_t axis) const {
    return ((constant >> axis) & 1u) - 1;
  }
};
static_assert(sizeof(FamilyHead) == 3 * kLineBytes);

// A few borders with their columns. Most IPv6 networks that end in the low half of the
// address are a host or two; this is one line where a FamilyHead and its levels are three.
inline constexpr std::size_t kLeafBorders = 4;
struct alignas(kLineBytes) LowLeaf {
  std::uint64_t borders[kLeafBorders];
  std::uint32_t sets_at[kAxes];  // as in a FamilyHead
  std::uint32_t constant = 0;    // as there

  [[nodiscard, gnu::always_inline]] constexpr std::uint32_t interval_mask(std::size_t axis) const {
    return ((constant >> axis) & 1u) - 1;
  }
};
static_assert(sizeof(LowLeaf) == kLineBytes);

inline constexpr std::size_t kHeadLines = sizeof(FamilyHead) / kLineBytes;
[[nodiscard, gnu::always_inline]] constexpr std::size_t head_line(Family family) {
  return static_cast<std::size_t>(family) * kHeadLines;
}
inline constexpr std::size_t kEmptyLine = 2 * kHeadLines;
inline constexpr std::size_t kNothingLine = kEmptyLine + 1;
inline constexpr std::size_t kFirstFreeLine =
    kNothingLine + (kPortMapPages + kPageBytes + kLineBytes - 1) / kLineBytes;

// How many levels of borders one image, or at most those of a table, have.
struct RowLevels {
  std::uint8_t ipv4 = 1;
  std::uint8_t ipv6 = 1;  // over the high 64 bits
  bool operator==(const RowLevels&) const = default;
};

// An immutable image and its memory.
class PolicyImage {
 public:
  PolicyImage(std::pmr::vector<Line> lines, RowLevels levels)
      : lines_(std::move(lines)), levels_(levels) {}
  // The same bytes in other memory: a worker's own replica.
  [[nodiscard]] static std::shared_ptr<const PolicyImage> copy(
      std::shared_ptr<const PolicyImage> original, std::pmr::memory_resource& memory);

  [[nodiscard]] const Line* lines() const noexcept { return lines_.data(); }
  [[nodiscard]] RowLevels levels() const noexcept { return levels_; }
  [[nodiscard]] std::size_t size_bytes() const noexcept { return lines_.size() * sizeof(Line); }
  [[nodiscard]] bool operator==(const PolicyImage& other) const noexcept;
  [[nodiscard]] std::uint64_t hash() const noexcept;
  // What it was copied from; itself where it is no copy.
  [[nodiscard]] const PolicyImage* original() const noexcept {
    return original_ == nullptr ? this : original_.get();
  }

 private:
  std::pmr::vector<Line> lines_;
  RowLevels levels_;
  std::shared_ptr<const PolicyImage> original_;  // held, so that its place is not another's
};

}  // namespace sluice::rules
