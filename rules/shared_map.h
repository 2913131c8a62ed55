// SPDX-License-Identifier: Apache-2.0
//
// A std::map that is copied when it is changed, not when it is passed on: successive versions of a
// node share the maps that a change does not touch, and comparing those costs one pointer.
#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <utility>

namespace sluice::rules {

// Reading: any number of threads, each with a SharedMap of its own. Changing: one thread a value.
template <class Key, class Value>
class SharedMap {
 public:
  using Map = std::map<Key, Value>;
  using value_type = typename Map::value_type;
  using const_iterator = typename Map::const_iterator;

  [[nodiscard]] const_iterator begin() const { return map_->begin(); }
  [[nodiscard]] const_iterator end() const { return map_->end(); }
  [[nodiscard]] const_iterator find(const Key& key) const { return map_->find(key); }
  [[nodiscard]] const Value& at(const Key& key) const { return map_->at(key); }
  [[nodiscard]] bool contains(const Key& key) const { return map_->contains(key); }
  [[nodiscard]] std::size_t count(const Key& key) const { return map_->count(key); }
  [[nodiscard]] std::size_t size() const { return map_->size(); }
  [[nodiscard]] bool empty() const { return map_->empty(); }

  // Changes: on a map of this value's own.
  Value& operator[](const Key& key) { return own()[key]; }
  std::size_t erase(const Key& key) { return own().erase(key); }

  // One and the same map: equal without looking.
  [[nodiscard]] bool is_same(const SharedMap& other) const { return map_ == other.map_; }

 private:
  Map& own() {
    if (map_.use_count() != 1) {
      map_ = std::make_shared<Map>(*map_);
    } else {
      // Pairs with the release of whoever held it until now: its reads came before our writes.
      std::atomic_thread_fence(std::memory_order_acquire);
    }
    return *map_;
  }
  std::shared_ptr<Map> map_ = std::make_shared<Map>();
};

}  // namespace sluice::rules
