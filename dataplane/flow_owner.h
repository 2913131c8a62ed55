// SPDX-License-Identifier: Apache-2.0
//
// Which worker owns a frame: the one whose tables hold its flow. Every packet of two addresses has
// one owner, in both directions, whatever its ports: later fragments carry no ports and ICMP errors
// quote the addresses, so their owner is known without a look at any table.
//
// Cost: a few loads for TCP and UDP over IPv4 and plain IPv6; a whole parse for ICMP and for IPv6
//       with extension headers.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/packet.h"

namespace sluice::dataplane {

// Receive-side scaling of a port in a form that sends both directions to one queue: the Toeplitz
// key repeats 16 bits, so the hash of (source, destination) is that of (destination, source) (Woo
// and Park, "Scalable TCP Session Monitoring with Symmetric Receive-side Scaling", 2012), and the
// hash covers the addresses only.
struct SymmetricRss {
  static constexpr std::size_t kKeyBytes = 52;  // the longest that ports ask for; a prefix will do
  std::uint16_t pattern = 0x6d5a;               // 16 bits of the key; some drawn at random
  std::uint16_t table_size = 128;               // of the smallest redirection table; a power of two

  [[nodiscard]] std::array<std::uint8_t, kKeyBytes> key() const noexcept;
  // The queue that entry `index` of a redirection table of any size must name.
  [[nodiscard]] std::uint16_t queue_of_entry(std::size_t index, unsigned queues) const noexcept {
    return static_cast<std::uint16_t>(index % table_size % queues);
  }
};

class FlowOwner {
 public:
  // Spread by a keyed hash: nobody outside can choose a worker to burden.
  FlowOwner(unsigned workers, HashSecret secret) noexcept;
  // Spread as ports spread by themselves: what they deliver is with its owner already.
  FlowOwner(unsigned workers, const SymmetricRss& rss) noexcept;

  // `self` for frames of no flow: wherever they are is right.
  [[nodiscard]] unsigned of(const Frame& frame, const Ingress& ingress,
                            unsigned self) const noexcept;

 private:
  [[nodiscard]] unsigned of_pair(const rules::Address& one,
                                 const rules::Address& other) const noexcept;

  unsigned workers_;
  bool is_rss_ = false;
  HashSecret secret_;
  std::uint16_t table_size_ = 1;
  // Toeplitz of a folded pair, by byte: the key repeats, so the words of the input fold to one.
  std::array<std::array<std::uint32_t, 256>, 2> toeplitz_{};
};

}  // namespace sluice::dataplane
