// SPDX-License-Identifier: Apache-2.0
//
// A flow table on the heap, as tests drive it.
#pragma once

#include <memory>
#include <new>

#include "dataplane/flow_table.h"

namespace sluice::tests {

inline constexpr dataplane::TimeNs kSecond = 1'000'000'000;

struct FlowTableBed {
  explicit FlowTableBed(std::uint32_t flows_max, dataplane::HashSecret secret = {1, 2})
      : memory(static_cast<std::byte*>(
            ::operator new[](dataplane::FlowTable::size_bytes(flows_max), std::align_val_t{64}))),
        table({memory.get(), dataplane::FlowTable::size_bytes(flows_max)}, flows_max, secret) {
    at(kSecond);
  }
  void at(dataplane::TimeNs now) { table.set_clock(now, timeouts); }
  dataplane::Flow* find(const dataplane::FlowKey& key) { return table.find(key, table.hash(key)); }
  dataplane::Flow* insert(const dataplane::FlowKey& key) {
    return table.insert(key, table.hash(key), dataplane::FlowState::udp_unreplied);
  }
  void reply(const dataplane::FlowKey& key, dataplane::Flow* flow) {
    table.mark_replied(flow);
    table.set_state(flow, table.hash(key), dataplane::FlowState::udp_replied);
  }

  struct Free {
    void operator()(std::byte* bytes) const { ::operator delete[](bytes, std::align_val_t{64}); }
  };
  std::unique_ptr<std::byte[], Free> memory;
  dataplane::FlowTimeouts timeouts;
  dataplane::FlowTable table;
};

// UDP of the given family; numbers differ in the remote port, and beyond 60,000 in the address.
inline dataplane::FlowKey key_of(std::uint64_t number, bool ipv6 = false) {
  dataplane::FlowKey key;
  key.local_low = 0x0a00000a;
  key.remote_low = 0x0b000000 + number / 60'000;
  if (ipv6) key.local_high = key.remote_high = 0x20010db8ull << 32;
  key.remote_port = static_cast<std::uint16_t>(number % 60'000 + 1024);
  key.local_port = 53;
  key.protocol = 17;
  key.family = ipv6 ? rules::Family::ipv6 : rules::Family::ipv4;
  return key;
}

}  // namespace sluice::tests
