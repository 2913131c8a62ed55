// SPDX-License-Identifier: Apache-2.0
//
// For each family: what is open to any source, then one sweep over the addresses, from the lowest
// to the highest, that keeps the rules holding at each and writes the union of their services, an
// axis apart, wherever it changes.
#include "rules/policy_build.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "rules/image_writer.h"

namespace sluice::rules {
namespace {

// Services first..last of an axis for the addresses from..to.
template <class Number>
struct Area {
  Number from;
  Number to;
  std::uint8_t axis;
  std::uint16_t first;
  std::uint16_t last;
};

// What holds in one interval, by axis.
using Row = std::array<SetSlot, kAxes>;

// Sorted by first number; runs may overlap. Returns them merged: sorted, apart.
void merge_runs(std::span<const ServiceRun> sorted, std::vector<ServiceRun>& merged) {
  merged.clear();
  for (const ServiceRun& run : sorted) {
    if (!merged.empty() && run.first <= std::uint32_t{merged.back().last} + 1) {
      merged.back().last = std::max(merged.back().last, run.last);
    } else {
      merged.push_back(run);
    }
  }
}

bool is_before(const ServiceRun& a, const ServiceRun& b) {
  return a.first < b.first;
}

bool covers(std::span<const ServiceRun> merged, std::uint16_t first, std::uint16_t last) {
  const auto after =
      std::upper_bound(merged.begin(), merged.end(), ServiceRun{first, first}, is_before);
  return after != merged.begin() && (after - 1)->last >= last;
}

SetColumns columns_of(std::span<const Row> rows) {
  SetColumns columns;
  for (std::size_t axis = 0; axis < kAxes; ++axis) {
    columns[axis].reserve(rows.size());
    for (const Row& row : rows) columns[axis].push_back(row[axis]);
  }
  return columns;
}

// One family of a policy. Number: of its addresses.
template <class Number>
class FamilyBuilder {
 public:
  void open(const AddressRange& range, const ServiceSpan& span) {
    if (range == whole_family(range.first.family)) {
      any_[span.axis].push_back({span.first, span.last});
    } else {
      areas_.push_back({static_cast<Number>(range.first.value()),
                        static_cast<Number>(range.last.value()), span.axis, span.first, span.last});
    }
  }

  void write(ImageWriter& writer, Family family) {
    write_any_source(writer, family);
    if (areas_.empty()) return;
    sweep(writer);
    if (!writer.is_full()) write_row(writer);
  }

 private:
  // A rule begins to hold at an address, or held for the last time before it.
  struct Event {
    Number at;
    std::uint32_t area;
    bool is_end;
  };

  void write_any_source(ImageWriter& writer, Family family) {
    for (std::size_t axis = 0; axis < kAxes; ++axis) {
      std::sort(any_[axis].begin(), any_[axis].end(), is_before);
      merge_runs(any_[axis], merged_);
      any_[axis] = merged_;
      writer.set_any_source(family, axis, merged_);
    }
    // What every source may reach needs no network.
    std::erase_if(areas_,
                  [&](const auto& area) { return covers(any_[area.axis], area.first, area.last); });
  }

  [[nodiscard]] std::vector<Event> events() const {
    std::vector<Event> events;
    events.reserve(areas_.size() * 2);
    for (std::uint32_t i = 0; i < areas_.size(); ++i) {
      events.push_back({areas_[i].from, i, false});
      if (areas_[i].to != static_cast<Number>(~Number{0}))
        events.push_back({static_cast<Number>(areas_[i].to + 1), i, true});
    }
    std::sort(events.begin(), events.end(),
              [](const Event& a, const Event& b) { return a.at < b.at; });
    return events;
  }

  void sweep(ImageWriter& writer) {
    const std::vector<Event> sorted = events();
    rows_.push_back({});  // nothing holds before the first
    for (std::size_t i = 0; i < sorted.size() && !writer.is_full();) {
      const Number at = sorted[i].at;
      std::array<bool, kAxes> touched{};
      for (; i < sorted.size() && sorted[i].at == at; ++i) {
        update(sorted[i]);
        touched[areas_[sorted[i].area].axis] = true;
      }
      Row row = rows_.back();
      for (std::size_t axis = 0; axis < kAxes; ++axis) {
        if (!touched[axis]) continue;
        merge_runs(holding_[axis], merged_);
        row[axis] = writer.set(merged_);
      }
      if (row == rows_.back()) continue;
      if (at == 0) {
        rows_.back() = row;
      } else {
        borders_.push_back(static_cast<Number>(at - 1));
        rows_.push_back(row);
      }
    }
  }

  void update(const Event& event) {
    const Area<Number>& area = areas_[event.area];
    const ServiceRun run{area.first, area.last};
    std::vector<ServiceRun>& holding = holding_[area.axis];
    auto place = std::lower_bound(holding.begin(), holding.end(), run, is_before);
    if (!event.is_end) {
      holding.insert(place, run);
      return;
    }
    while (!(*place == run)) ++place;
    holding.erase(place);
  }

  void write_row(ImageWriter& writer);

  std::array<std::vector<ServiceRun>, kAxes> any_;
  std::vector<Area<Number>> areas_;
  std::array<std::vector<ServiceRun>, kAxes> holding_;  // sorted by first; one a holding area
  std::vector<ServiceRun> merged_;
  std::vector<Number> borders_;  // last address of every interval but the last
  std::vector<Row> rows_;        // of every interval
};

template <>
void FamilyBuilder<std::uint32_t>::write_row(ImageWriter& writer) {
  writer.set_row(Family::ipv4, borders_, columns_of(rows_));
}

// Intervals of 128 bits as a row over the high 64 bits. A high half inside which the rows change
// gets a row of its own over the low 64 bits.
class HalvesBuilder {
 public:
  HalvesBuilder(std::span<const Uint128> borders, std::span<const Row> rows)
      : borders_(borders), rows_(rows) {}

  void write(ImageWriter& writer) {
    while (at_ < borders_.size() && !writer.is_full()) {
      const auto high = static_cast<std::uint64_t>(borders_[at_] >> 64);
      if (static_cast<std::uint64_t>(borders_[at_]) == kLast) {
        end_at(high, rows_[at_++]);
      } else {
        if (high != 0) end_at(high - 1, rows_[at_]);
        end_at(high, low_row(writer, high));
      }
    }
    end_at(kLast, rows_.back());
    highs_.pop_back();  // what comes last needs no border
    writer.set_row(Family::ipv6, highs_, columns_of(high_rows_));
  }

 private:
  static constexpr std::uint64_t kLast = ~std::uint64_t{0};

  // `row` holds from where the last one ended up to the high half `last`, if there is any between.
  void end_at(std::uint64_t last, const Row& row) {
    if (!highs_.empty() && highs_.back() >= last) return;
    if (!highs_.empty() && high_rows_.back() == row) {
      highs_.back() = last;
      return;
    }
    highs_.push_back(last);
    high_rows_.push_back(row);
  }

  // Takes the borders inside `high`, and the one at its end, if there is.
  Row low_row(ImageWriter& writer, std::uint64_t high) {
    std::vector<std::uint64_t> lows;
    std::vector<Row> low_rows{rows_[at_]};
    for (; at_ < borders_.size() && static_cast<std::uint64_t>(borders_[at_] >> 64) == high;
         ++at_) {
      const auto low = static_cast<std::uint64_t>(borders_[at_]);
      if (low == kLast) {
        ++at_;
        break;
      }
      lows.push_back(low);
      low_rows.push_back(rows_[at_ + 1]);
    }
    Row row;
    row.fill(writer.low_row(lows, columns_of(low_rows)));
    return row;
  }

  std::span<const Uint128> borders_;
  std::span<const Row> rows_;
  std::size_t at_ = 0;
  std::vector<std::uint64_t> highs_;  // last high half of each row
  std::vector<Row> high_rows_;
};

template <>
void FamilyBuilder<Uint128>::write_row(ImageWriter& writer) {
  HalvesBuilder(borders_, rows_).write(writer);
}

}  // namespace

Result<std::shared_ptr<const PolicyImage>> build_policy(
    std::span<const std::shared_ptr<const GroupIndex>> groups, Direction direction,
    const SystemIndex* system) {
  FamilyBuilder<std::uint32_t> ipv4;
  FamilyBuilder<Uint128> ipv6;
  const auto open = [&](const GroupIndex& index, const SystemIndex* reserves) {
    for (const Rule& rule : index.group().group->rules) {
      if (rule.direction != direction) continue;
      const std::vector<AddressRange> networks = index.group().networks(rule);
      std::vector<ServiceSpan> spans = service_spans(rule);
      if (reserves != nullptr) spans = reserves->left_of(std::move(spans), direction);
      for (const ServiceSpan& span : spans) {
        for (const AddressRange& range : networks) {
          if (range.first.family == Family::ipv4) {
            ipv4.open(range, span);
          } else {
            ipv6.open(range, span);
          }
        }
      }
    }
  };
  if (system != nullptr) open(system->index(), nullptr);
  for (const auto& index : groups) open(*index, system);
  ImageWriter writer;
  ipv4.write(writer, Family::ipv4);
  ipv6.write(writer, Family::ipv6);
  if (!writer.is_full()) return writer.finish();
  std::string names;
  for (const auto& index : groups)
    names += (names.empty() ? "" : ", ") + index->group().group->name;
  return fail(ErrorCode::capacity,
              fmt::format("the {} rules of {} together need more than {} MiB of table; use fewer "
                          "distinct networks or ports",
                          direction == Direction::inbound ? "inbound" : "outbound", names,
                          (kLinesMax * kLineBytes) >> 20));
}

}  // namespace sluice::rules
