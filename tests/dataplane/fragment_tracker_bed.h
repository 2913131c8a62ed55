// SPDX-License-Identifier: Apache-2.0
//
// A fragment tracker and its memory, for tests and benchmarks that build a pipeline themselves.
#pragma once

#include <memory>
#include <new>

#include "dataplane/fragments.h"

namespace sluice::tests {

struct FragmentTrackerBed {
  explicit FragmentTrackerBed(std::uint32_t datagrams_max, dataplane::HashSecret secret = {1, 2})
      : memory(static_cast<std::byte*>(::operator new[](
            dataplane::FragmentTracker::size_bytes(datagrams_max), std::align_val_t{64}))),
        tracker({memory.get(), dataplane::FragmentTracker::size_bytes(datagrams_max)},
                datagrams_max, secret) {}

  struct Free {
    void operator()(std::byte* bytes) const { ::operator delete[](bytes, std::align_val_t{64}); }
  };
  std::unique_ptr<std::byte[], Free> memory;
  dataplane::FragmentTracker tracker;
};

}  // namespace sluice::tests
