// SPDX-License-Identifier: Apache-2.0
//
// What an LB listens on and whom it speaks to, as its registration says: lb_port, the ports of
// tcp_backend, and the servers of backends and tcp_backend. What cannot be read there is left out:
// a registration is the controller's, and only its addresses are checked.
#pragma once

#include <string>
#include <vector>

#include "rules/address.h"
#include "rules/model.h"

namespace sluice::control {

struct Backend {
  std::string name;
  rules::Address address;
  std::uint16_t port = 0;
  auto operator<=>(const Backend&) const = default;
};

struct Endpoints {
  std::vector<std::uint16_t> listeners;  // TCP; sorted, no duplicates
  std::vector<Backend> backends;         // TCP
};

[[nodiscard]] Endpoints endpoints_of(const rules::LoadBalancer& lb);

}  // namespace sluice::control
