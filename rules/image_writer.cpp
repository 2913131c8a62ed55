// SPDX-License-Identifier: Apache-2.0
#include "rules/image_writer.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace sluice::rules {
namespace {

constexpr std::size_t kPlaces = kBordersPerLine / kTurnsPerPlace;

std::size_t turn_count(std::span<const ServiceRun> runs) {
  return runs.size() * 2 - (!runs.empty() && runs.back().last == 65535 ? 1 : 0);
}

void find_turns(std::span<const ServiceRun> runs, std::vector<std::uint16_t>& turns) {
  turns.clear();
  for (const ServiceRun& run : runs) {
    turns.push_back(run.first);
    if (run.last != 65535) turns.push_back(static_cast<std::uint16_t>(run.last + 1));
  }
}

std::u16string key_of(std::span<const ServiceRun> runs) {
  static_assert(sizeof(ServiceRun) == 2 * sizeof(char16_t));
  std::u16string key(runs.size() * 2, u'\0');
  std::memcpy(key.data(), runs.data(), runs.size_bytes());
  return key;
}

constexpr std::uint32_t offset_of(std::size_t line) {
  return static_cast<std::uint32_t>(line * kLineBytes);
}

// Of a family of which no rule speaks.
FamilyHead empty_head() {
  FamilyHead head;
  std::fill_n(head.slices_at, kPieces, offset_of(kNothingLine));
  std::fill_n(head.level_at, kLevelsMax, offset_of(kEmptyLine));
  std::fill_n(head.sets_at, kAxes, offset_of(kEmptyLine));
  std::fill_n(head.any_at, kAxes, offset_of(kNothingLine));
  return head;
}

}  // namespace

ImageWriter::ImageWriter() {
  lines_.resize(kFirstFreeLine);
  std::memset(lines_.data() + kEmptyLine, 0xff, kLineBytes);
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    head(family) = empty_head();
  }
}

std::size_t ImageWriter::new_lines(std::size_t count) {
  const std::size_t first = lines_.size();
  if (first + count > kLinesMax) {
    full_ = true;
    return 0;
  }
  lines_.resize(first + count);
  return first;
}

SetSlot ImageWriter::set(std::span<const ServiceRun> runs) {
  const std::size_t count = turn_count(runs);
  if (count <= kSlotTurns) {
    find_turns(runs, turns_);
    if (turns_.empty() || turns_.back() != 0xffff) {
      turns_.resize(kSlotTurns, 0xffff);
      SetSlot slot;
      std::memcpy(&slot.bits, turns_.data(), sizeof(slot.bits));
      return slot;
    }
  }
  if (count > kPagesMax) return {write_bitmap(runs).bits};
  const auto [known, is_new] = sets_.try_emplace(key_of(runs));
  if (is_new) known->second = count <= kListMax ? write_list(runs) : write_pages(runs);
  return {known->second.bits};
}

// Into the fullest line that still has room, so that no list crosses lines and few places stay
// empty.
SetRef ImageWriter::write_list(std::span<const ServiceRun> runs) {
  find_turns(runs, turns_);
  if (turns_.empty()) return {};
  const std::size_t places = (turns_.size() + kTurnsPerPlace - 1) / kTurnsPerPlace;
  std::size_t free = places;
  while (free < kPlaces && list_lines_[free] == 0) ++free;
  const std::size_t line = free < kPlaces ? list_lines_[free] : new_lines(1);
  if (full_) return {};
  if (free < kPlaces) list_lines_[free] = 0;
  if (free > places) list_lines_[free - places] = line;
  const std::size_t place = kPlaces - free;
  std::copy(turns_.begin(), turns_.end(), at<std::uint16_t>(line) + place * kTurnsPerPlace);
  return set_ref(SetKind::list, line, turns_.size(), place);
}

SetRef ImageWriter::write_pages(std::span<const ServiceRun> runs) {
  const bool holds_zero = runs.front().first == 0;
  std::vector<std::uint16_t> borders;
  for (const ServiceRun& run : runs) {
    if (run.first != 0) borders.push_back(static_cast<std::uint16_t>(run.first - 1));
    if (run.last != 65535) borders.push_back(run.last);
  }
  const std::size_t pages = (borders.size() + kBordersPerLine - 1) / kBordersPerLine;
  const std::size_t line = new_lines(1 + pages);
  if (full_) return {};
  auto* top = at<std::uint16_t>(line);
  std::memset(top, 0xff, (1 + pages) * kLineBytes);
  std::copy(borders.begin(), borders.end(), top + kBordersPerLine);
  // The last border of each page but the last: above it, the answer is on a later page.
  for (std::size_t page = 0; page + 1 < pages; ++page)
    top[page] = borders[(page + 1) * kBordersPerLine - 1];
  return set_ref(SetKind::pages, line, holds_zero ? 1 : 0);
}

// Large sets are told apart by the bitmaps already written, not by keys as large as they are.
SetRef ImageWriter::write_bitmap(std::span<const ServiceRun> runs) {
  std::array<std::uint64_t, 65536 / 64> words{};
  for (const ServiceRun& run : runs)
    for (std::uint32_t i = run.first; i <= run.last; ++i)
      words[i / 64] |= std::uint64_t{1} << (i % 64);
  std::uint64_t hash = 0;
  for (const std::uint64_t word : words) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 29;
  }
  const auto [begin, end] = bitmaps_.equal_range(hash);
  for (auto it = begin; it != end; ++it)
    if (std::memcmp(at<std::byte>(it->second), words.data(), sizeof(words)) == 0)
      return set_ref(SetKind::bitmap, it->second);
  const std::size_t line = new_bytes(sizeof(words));
  if (full_) return {};
  std::memcpy(at<std::byte>(line), words.data(), sizeof(words));
  bitmaps_.emplace(hash, line);
  return set_ref(SetKind::bitmap, line);
}

void ImageWriter::set_any_source(Family family, std::size_t axis,
                                 std::span<const ServiceRun> runs) {
  if (runs.empty()) return;
  const auto [known, is_new] = port_maps_.try_emplace(key_of(runs));
  if (is_new) known->second = write_port_map(runs);
  const std::uint32_t map = known->second;
  if (!full_) head(family).any_at[axis] = map;
}

std::uint32_t ImageWriter::write_port_map(std::span<const ServiceRun> runs) {
  constexpr std::size_t kWords = kPageBytes / sizeof(std::uint64_t);
  using Page = std::array<std::uint64_t, kWords>;
  std::vector<Page> bits(kPortMapPages);
  for (const ServiceRun& run : runs) {
    const std::size_t first = run.first / 64, last = run.last / 64;
    for (std::size_t word = first; word <= last; ++word) {
      std::uint64_t all = ~std::uint64_t{0};
      if (word == first) all &= ~std::uint64_t{0} << run.first % 64;
      if (word == last) all &= ~std::uint64_t{0} >> (63 - run.last % 64);
      bits[word / kWords][word % kWords] |= all;
    }
  }
  std::vector<Page> pages;
  std::array<std::uint8_t, kPortMapPages> page_of{};
  for (std::size_t i = 0; i < kPortMapPages; ++i) {
    const auto known = std::find(pages.begin(), pages.end(), bits[i]);
    page_of[i] = static_cast<std::uint8_t>(known - pages.begin());
    if (known == pages.end()) pages.push_back(bits[i]);
  }
  const std::size_t line = new_bytes(kPortMapPages + pages.size() * kPageBytes);
  if (full_) return 0;
  std::copy(page_of.begin(), page_of.end(), at<std::uint8_t>(line));
  std::memcpy(at<std::byte>(line) + kPortMapPages, pages.data(), pages.size() * kPageBytes);
  return offset_of(line);
}

void ImageWriter::set_row(Family family, std::span<const std::uint32_t> borders,
                          const SetColumns& columns) {
  write_row(head_line(family), borders, columns);
}
void ImageWriter::set_row(Family family, std::span<const std::uint64_t> borders,
                          const SetColumns& columns) {
  write_row(head_line(family), borders, columns);
}

SetSlot ImageWriter::low_row(std::span<const std::uint64_t> borders, const SetColumns& columns) {
  if (borders.size() <= kLeafBorders) return low_leaf(borders, columns);
  const std::size_t line = new_lines(kHeadLines);
  if (full_) return {};
  *at<FamilyHead>(line) = empty_head();
  write_row(line, borders, columns);
  return {set_ref(SetKind::row, line).bits};
}

SetSlot ImageWriter::low_leaf(std::span<const std::uint64_t> borders, const SetColumns& columns) {
  FamilyHead head;
  write_columns(head, columns);
  const std::size_t line = new_lines(1);
  if (full_) return {};
  auto& leaf = *at<LowLeaf>(line);
  std::fill_n(leaf.borders, kLeafBorders, std::numeric_limits<std::uint64_t>::max());
  std::copy(borders.begin(), borders.end(), leaf.borders);
  std::copy_n(head.sets_at, kAxes, leaf.sets_at);
  leaf.constant = head.constant;
  return {set_ref(SetKind::leaf, line).bits};
}

template <class Number>
void ImageWriter::write_row(std::size_t line, std::span<const Number> borders,
                            const SetColumns& columns) {
  FamilyHead head = *at<FamilyHead>(line);
  write_borders(head, borders);
  write_columns(head, columns);
  if (!full_) *at<FamilyHead>(line) = head;
}

void ImageWriter::write_columns(FamilyHead& head, const SetColumns& columns) {
  for (std::size_t axis = 0; axis < kAxes; ++axis) {
    // Axes with the same sets (often those that only rules for all protocols reach) share them.
    std::size_t twin = 0;
    while (columns[twin] != columns[axis]) ++twin;
    if (twin == axis) write_column(head, axis, columns[axis]);
    head.sets_at[axis] = head.sets_at[twin];
    head.constant |= ((head.constant >> twin) & 1u) << axis;
  }
}

void ImageWriter::write_column(FamilyHead& head, std::size_t axis, std::span<const SetSlot> sets) {
  const bool is_constant = std::all_of(sets.begin(), sets.end(),
                                       [&](const SetSlot& set) { return set == sets.front(); });
  if (!is_constant) {
    head.sets_at[axis] = write_slots(sets);
    return;
  }
  head.constant |= 1u << axis;
  const auto [known, is_new] = constants_.try_emplace(sets.front().bits);
  if (is_new) known->second = write_slots(sets.first(1));
  head.sets_at[axis] = known->second;
}

// Returns their offset. Short columns share lines.
std::uint32_t ImageWriter::write_slots(std::span<const SetSlot> slots) {
  constexpr std::size_t kSlots = kLineBytes / sizeof(SetSlot);
  const bool fits = slots.size() <= slots_left_;
  const std::size_t line = fits ? slot_line_ : new_bytes(slots.size_bytes());
  if (full_) return 0;
  const std::size_t first = fits ? kSlots - slots_left_ : 0;
  std::copy(slots.begin(), slots.end(), at<SetSlot>(line) + first);
  if (fits) {
    slots_left_ -= slots.size();
  } else if (slots.size() < kSlots) {
    slot_line_ = line;
    slots_left_ = kSlots - slots.size();
  }
  return offset_of(line) + static_cast<std::uint32_t>(first * sizeof(SetSlot));
}

template <class Number>
void ImageWriter::write_borders(FamilyHead& head, std::span<const Number> borders) {
  const AddressSlices<Number> slices = slice(borders);
  if (slices.levels.size() > kLevelsMax) {
    full_ = true;
    return;
  }
  head.levels = static_cast<std::uint32_t>(slices.levels.size());
  write_slices(head, slices);
  for (std::size_t level = slices.levels.size(); level-- > 0;) {
    const std::vector<Number>& numbers = slices.levels[level];
    const std::size_t line = new_bytes((numbers.size() + kFan<Number>)*sizeof(Number));
    if (full_) return;
    head.level_at[level] = offset_of(line);
    auto* end = std::copy(numbers.begin(), numbers.end(), at<Number>(line));
    std::fill(end, at<Number>(lines_.size()), std::numeric_limits<Number>::max());
  }
}

template <class Number>
void ImageWriter::write_slices(FamilyHead& head, const AddressSlices<Number>& slices) {
  std::size_t count = 0;
  for (const auto& piece : slices.pieces) count += piece.starts.size();
  const std::size_t line = new_bytes(count * sizeof(std::uint32_t));
  if (full_) return;
  head.pieces = static_cast<std::uint32_t>(slices.pieces.size());
  head.slices = static_cast<std::uint32_t>(count);
  head.top = slices.pieces.back().last;
  auto* to = at<std::uint32_t>(line);
  for (std::size_t i = 0; i < slices.pieces.size(); ++i) {
    const auto& piece = slices.pieces[i];
    if (i + 1 < slices.pieces.size()) head.last[i] = piece.last;
    head.base[i] = piece.base;
    head.shift[i] = piece.shift;
    head.slices_at[i] =
        offset_of(line) + static_cast<std::uint32_t>((to - at<std::uint32_t>(line)) * sizeof(*to));
    to = std::copy(piece.starts.begin(), piece.starts.end(), to);
  }
}

std::shared_ptr<const PolicyImage> ImageWriter::finish() {
  const auto levels = [&](Family family) {
    return static_cast<std::uint8_t>(std::max(head(family).levels, std::uint32_t{1}));
  };
  const RowLevels deepest{levels(Family::ipv4), levels(Family::ipv6)};
  lines_.shrink_to_fit();
  return std::make_shared<const PolicyImage>(std::move(lines_), deepest);
}

}  // namespace sluice::rules
