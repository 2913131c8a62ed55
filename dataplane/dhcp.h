// SPDX-License-Identifier: Apache-2.0
//
// What DHCP clients inside and servers outside say to each other, where the node lets it pass
// (SEMANTICS §4, "Always passed"): a client without an address is nobody's, and no rule could be
// for it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "rules/model.h"

namespace sluice::dataplane {

enum class Dhcp : std::uint8_t {
  none,     // something else
  link,     // on the link alone: from no address, to all, between link-local addresses
  unicast,  // a load balancer's own address with a server
};

// `udp`: the whole datagram with its header. Inbound: a server's reply; outbound: a client's
// request; both as RFC 2131 and RFC 8415 have them (ports, direction, magic cookie), so that
// nothing else gets by on their ports.
[[nodiscard]] Dhcp dhcp_of(rules::Direction direction, const rules::Address& source,
                           const rules::Address& destination, const std::uint8_t* udp,
                           std::size_t size) noexcept;

}  // namespace sluice::dataplane
