// SPDX-License-Identifier: Apache-2.0
#include "rules/policy_image.h"

#include <cstring>

namespace sluice::rules {

bool PolicyImage::operator==(const PolicyImage& other) const noexcept {
  return lines_.size() == other.lines_.size() &&
         std::memcmp(lines_.data(), other.lines_.data(), size_bytes()) == 0;
}

std::uint64_t PolicyImage::hash() const noexcept {
  std::uint64_t hash = lines_.size();
  const auto* words = reinterpret_cast<const unsigned char*>(lines_.data());
  for (std::size_t at = 0; at < size_bytes(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, words + at, 8);
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 29;
  }
  return hash;
}

std::shared_ptr<const PolicyImage> PolicyImage::copy(std::shared_ptr<const PolicyImage> original,
                                                     std::pmr::memory_resource& memory) {
  auto image = std::make_shared<PolicyImage>(std::pmr::vector<Line>(original->lines_, &memory),
                                             original->levels_);
  image->original_ = std::move(original);
  return image;
}

}  // namespace sluice::rules
