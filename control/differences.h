// SPDX-License-Identifier: Apache-2.0
//
// What differs between two successive maps of shared values. Maps that a change did not touch cost
// one pointer.
#pragma once

#include "rules/shared_map.h"

namespace sluice::control {

// visit(key, old or null, new or null), pointers to the maps' values, in the order of the keys.
template <class Key, class Value, class Visit>
void each_difference(const rules::SharedMap<Key, Value>& before,
                     const rules::SharedMap<Key, Value>& after, Visit visit) {
  if (before.is_same(after)) return;
  const Value* const none = nullptr;
  auto a = before.begin(), b = after.begin();
  while (a != before.end() || b != after.end()) {
    if (b == after.end() || (a != before.end() && a->first < b->first)) {
      visit(a->first, &a->second, none);
      ++a;
    } else if (a == before.end() || b->first < a->first) {
      visit(b->first, none, &b->second);
      ++b;
    } else {
      if (a->second != b->second) visit(a->first, &a->second, &b->second);
      ++a, ++b;
    }
  }
}

}  // namespace sluice::control
