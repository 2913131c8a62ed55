// SPDX-License-Identifier: Apache-2.0
//
// What the compiler knows of the images in use: which there are, so that equal ones are stored
// once, and what is true of all of them together.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "rules/policy_image.h"

namespace sluice::rules {

// Images that somebody holds, by content: equal ones are stored once.
class ImagePool {
 public:
  std::shared_ptr<const PolicyImage> share(std::shared_ptr<const PolicyImage> image) {
    if (known_.size() >= sweep_at_) {
      std::erase_if(known_, [](const auto& entry) { return entry.second.expired(); });
      sweep_at_ = known_.size() * 2 + 64;
    }
    const std::uint64_t hash = image->hash();
    const auto [begin, end] = known_.equal_range(hash);
    for (auto it = begin; it != end; ++it)
      if (auto same = it->second.lock(); same != nullptr && *same == *image) return same;
    known_.emplace(hash, image);
    return image;
  }

 private:
  std::unordered_multimap<std::uint64_t, std::weak_ptr<const PolicyImage>> known_;
  std::size_t sweep_at_ = 64;
};

// What is true of all images in use together, kept up as they come and go.
class ImageSums {
 public:
  void add(const PolicyImage& image) { count(image, +1); }
  void remove(const PolicyImage& image) { count(image, -1); }
  [[nodiscard]] RowLevels levels() const { return {deepest(ipv4_), deepest(ipv6_)}; }

 private:
  using Images = std::array<std::int64_t, kLevelsMax + 1>;  // with so many levels
  void count(const PolicyImage& image, int step) {
    ipv4_[image.levels().ipv4] += step;
    ipv6_[image.levels().ipv6] += step;
  }
  static std::uint8_t deepest(const Images& images) {
    std::size_t levels = kLevelsMax;
    while (levels > 1 && images[levels] == 0) --levels;
    return static_cast<std::uint8_t>(levels);
  }
  Images ipv4_{}, ipv6_{};
};

}  // namespace sluice::rules
