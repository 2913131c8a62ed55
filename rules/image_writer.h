// SPDX-License-Identifier: Apache-2.0
//
// Writes a PolicyImage: sets of services and port maps, each stored once, and rows of borders.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "rules/address_slices.h"

namespace sluice::rules {

// First and last number of a run, both in it. Lists of runs are sorted and do not touch.
struct ServiceRun {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  bool operator==(const ServiceRun&) const = default;
};

// What holds in each interval, by axis.
using SetColumns = std::array<std::vector<SetSlot>, kAxes>;

class ImageWriter {
 public:
  ImageWriter();

  // The set of these numbers: in the slot itself, or written now, or the equal one written before.
  [[nodiscard]] SetSlot set(std::span<const ServiceRun> runs);
  void set_any_source(Family family, std::size_t axis, std::span<const ServiceRun> runs);

  // Interval i begins after borders[i - 1] and ends with borders[i]; it has columns[axis][i].
  // Every column has borders.size() + 1 sets.
  void set_row(Family family, std::span<const std::uint32_t> borders, const SetColumns& columns);
  void set_row(Family family, std::span<const std::uint64_t> borders, const SetColumns& columns);
  // A row to stand in the place of the sets of an IPv6 high half.
  [[nodiscard]] SetSlot low_row(std::span<const std::uint64_t> borders, const SetColumns& columns);

  // More than kLinesMax were asked for; what is written since is meaningless.
  [[nodiscard]] bool is_full() const { return full_; }
  [[nodiscard]] std::shared_ptr<const PolicyImage> finish();

 private:
  [[nodiscard]] std::size_t new_lines(std::size_t count);  // zeroed; their first
  [[nodiscard]] std::size_t new_bytes(std::size_t count) {
    return new_lines((count + kLineBytes - 1) / kLineBytes);
  }
  template <class T>
  [[nodiscard]] T* at(std::size_t line) {
    return reinterpret_cast<T*>(lines_.data() + line);
  }
  [[nodiscard]] FamilyHead& head(Family family) { return *at<FamilyHead>(head_line(family)); }
  [[nodiscard]] SetRef write_list(std::span<const ServiceRun> runs);
  [[nodiscard]] SetRef write_pages(std::span<const ServiceRun> runs);
  [[nodiscard]] SetRef write_bitmap(std::span<const ServiceRun> runs);
  [[nodiscard]] std::uint32_t write_port_map(std::span<const ServiceRun> runs);
  template <class Number>
  void write_row(std::size_t head_line, std::span<const Number> borders, const SetColumns& columns);
  template <class Number>
  void write_borders(FamilyHead& head, std::span<const Number> borders);
  template <class Number>
  void write_slices(FamilyHead& head, const AddressSlices<Number>& slices);
  void write_columns(FamilyHead& head, const SetColumns& columns);
  [[nodiscard]] SetSlot low_leaf(std::span<const std::uint64_t> borders, const SetColumns& columns);
  void write_column(FamilyHead& head, std::size_t axis, std::span<const SetSlot> sets);
  [[nodiscard]] std::uint32_t write_slots(std::span<const SetSlot> slots);

  std::pmr::vector<Line> lines_;
  bool full_ = false;
  std::vector<std::uint16_t> turns_;                             // of the set at hand
  std::unordered_map<std::u16string, SetRef> sets_;              // lists and pages, by their runs
  std::unordered_multimap<std::uint64_t, std::size_t> bitmaps_;  // lines, by hash
  std::unordered_map<std::u16string, std::uint32_t> port_maps_;
  std::unordered_map<std::uint64_t, std::uint32_t> constants_;  // columns of one slot, by it
  std::size_t slot_line_ = 0, slots_left_ = 0;                  // the last line of short columns
  std::array<std::size_t, 9> list_lines_{};  // a line with so many places left, or 0
};

}  // namespace sluice::rules
