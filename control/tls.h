// SPDX-License-Identifier: Apache-2.0
//
// The certificate that the API shows beyond loopback; exchanged without a restart.
//
// Owner: the HTTP server's thread.
#pragma once

#include <utility>  // before Asio 1.74, which forgets it

#include <boost/asio/ssl/context.hpp>
#include <memory>

#include "control/watched_file.h"

namespace sluice::control {

class TlsCertificate {
 public:
  // Error: invalid; the file named, and what is wrong with it.
  [[nodiscard]] static rules::Result<TlsCertificate> open(const std::string& certificate_path,
                                                          const std::string& key_path);
  // For a connection that begins now. Files that changed are read anew; a pair that does not load
  // is logged, and the one before goes on.
  [[nodiscard]] boost::asio::ssl::context& context();

 private:
  TlsCertificate(const std::string& certificate_path, const std::string& key_path)
      : certificate_(certificate_path), key_(key_path) {}
  [[nodiscard]] rules::Result<void> load();
  WatchedFile certificate_;
  WatchedFile key_;
  std::unique_ptr<boost::asio::ssl::context> context_;
};

}  // namespace sluice::control
