// SPDX-License-Identifier: Apache-2.0
//
// One connection: reads requests one after the other, writes answers or a stream of events.
#pragma once

#include "control/http_context.h"

namespace sluice::control {

// Serves the connection until a side closes it, after a TLS handshake or at once. Refuses it where
// the peer has too many. Lives as long as an operation on it is under way.
void serve(HttpContext& context, boost::asio::generic::stream_protocol::socket socket,
           bool with_tls);

}  // namespace sluice::control
