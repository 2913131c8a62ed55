// SPDX-License-Identifier: Apache-2.0
#include "rules/address_slices.h"

#include <algorithm>
#include <bit>
#include <optional>

namespace sluice::rules {
namespace {

template <class Number>
constexpr unsigned kShiftMax = sizeof(Number) * 8 - 1;

// Borders first .. end - 1 of a level.
struct Part {
  std::size_t first = 0;
  std::size_t end = 0;
  [[nodiscard]] std::size_t size() const { return end - first; }
};

// What slices may take: twice the bytes of their borders.
template <class Number>
std::size_t slices_max(const Part& part) {
  return part.size() * 2 * sizeof(Number) / sizeof(std::uint32_t) + 1;
}

// The slices of one part of a level's borders.
template <class Number>
class PartSlicer {
 public:
  PartSlicer(std::span<const Number> borders, const Part& part) : borders_(borders), part_(part) {
    if (part.size() == 0) return;
    first_ = borders[part.first];
    last_ = borders[part.end - 1] + 1u;
  }

  // As few as will do; none if more than slices_max were needed.
  [[nodiscard]] std::optional<AddressPiece<Number>> slice() const {
    const auto width = static_cast<unsigned>(std::bit_width(static_cast<Number>(last_ - first_)));
    const unsigned widest = std::min(kShiftMax<Number>, width);
    for (unsigned shift = widest;; --shift) {
      const Number base = base_of(shift);
      if (((last_ - base) >> shift) >= slices_max<Number>(part_)) return std::nullopt;
      AddressPiece<Number> piece{base, last_, shift, {}};
      if (find_starts(piece)) return piece;
      if (shift == 0) return std::nullopt;
    }
  }

  // The borders of the slice that has the most of them, where slices are as small as may be.
  [[nodiscard]] Part densest() const {
    unsigned shift = 0;
    while (shift < kShiftMax<Number> &&
           ((last_ - base_of(shift)) >> shift) >= slices_max<Number>(part_))
      ++shift;
    Part most{part_.first, part_.first};
    for (Part here{part_.first, part_.first}; here.first < part_.end; here.first = here.end) {
      const Number slice = borders_[here.first] >> shift;
      while (here.end < part_.end && borders_[here.end] >> shift == slice) ++here.end;
      if (here.size() > most.size()) most = here;
    }
    return most;
  }

 private:
  // Aligned, so that the ends of prefixes are the ends of slices, where they cost nothing.
  [[nodiscard]] Number base_of(unsigned shift) const {
    return static_cast<Number>(first_ >> shift << shift);
  }

  // False if a slice has more borders than a window.
  [[nodiscard]] bool find_starts(AddressPiece<Number>& piece) const {
    const auto slices = static_cast<std::size_t>((last_ - piece.base) >> piece.shift) + 1;
    piece.starts.reserve(slices);
    std::size_t start = part_.first, end = part_.first;
    for (std::size_t i = 0; i < slices; ++i) {
      const auto from = static_cast<Number>(piece.base + (static_cast<Number>(i) << piece.shift));
      const Number to =
          i + 1 == slices ? last_ : static_cast<Number>(from + ((Number{1} << piece.shift) - 1));
      while (start < part_.end && borders_[start] < from) ++start;
      while (end < part_.end && borders_[end] < to) ++end;
      if (end - start > kFan<Number>) return false;
      // Borders that lie before the slice are below its addresses: a window that begins earlier
      // counts them, and one that crosses no line is read faster.
      const std::size_t line = start / kFan<Number> * kFan<Number>;
      piece.starts.push_back(static_cast<std::uint32_t>(end - line <= kFan<Number> ? line : start));
    }
    return true;
  }

  std::span<const Number> borders_;
  Part part_;
  Number first_ = 0;
  Number last_ = 0;  // above all borders
};

// Parts of which none has a slice that is too full; where there is one, it is made a part of its
// own, once more while there is room. None: that does not help.
template <class Number>
std::vector<AddressPiece<Number>> pieces_of(std::span<const Number> borders) {
  std::vector<Part> parts{{0, borders.size()}};
  std::vector<AddressPiece<Number>> pieces;
  while (pieces.size() < parts.size()) {
    const Part part = parts[pieces.size()];
    const PartSlicer<Number> slicer(borders, part);
    if (auto piece = slicer.slice()) {
      pieces.push_back(std::move(*piece));
      continue;
    }
    const Part dense = slicer.densest();
    std::vector<Part> split{{part.first, dense.first}, dense, {dense.end, part.end}};
    std::erase_if(split, [](const Part& some) { return some.size() == 0; });
    if (split.size() == 1 || parts.size() - 1 + split.size() > kPieces) return {};
    const auto place = parts.begin() + static_cast<std::ptrdiff_t>(pieces.size());
    *place = split.front();
    parts.insert(place + 1, split.begin() + 1, split.end());
  }
  return pieces;
}

template <class Number>
AddressSlices<Number> slice_any(std::span<const Number> borders) {
  AddressSlices<Number> slices;
  slices.levels.emplace_back(borders.begin(), borders.end());
  for (;;) {
    slices.pieces = pieces_of<Number>(slices.levels.back());
    if (!slices.pieces.empty()) return slices;
    const std::vector<Number>& all = slices.levels.back();
    std::vector<Number> some;
    for (std::size_t i = kFan<Number> - 1; i < all.size(); i += kFan<Number>)
      some.push_back(all[i]);
    slices.levels.push_back(std::move(some));
  }
}

}  // namespace

AddressSlices<std::uint32_t> slice(std::span<const std::uint32_t> borders) {
  return slice_any(borders);
}
AddressSlices<std::uint64_t> slice(std::span<const std::uint64_t> borders) {
  return slice_any(borders);
}

}  // namespace sluice::rules
