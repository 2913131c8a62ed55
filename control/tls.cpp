// SPDX-License-Identifier: Apache-2.0
#include "control/tls.h"

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <spdlog/spdlog.h>

namespace sluice::control {

namespace ssl = boost::asio::ssl;
using rules::ErrorCode;
using rules::fail;
using rules::Result;

Result<TlsCertificate> TlsCertificate::open(const std::string& certificate_path,
                                            const std::string& key_path) {
  TlsCertificate certificate(certificate_path, key_path);
  (void)certificate.certificate_.has_changed();
  (void)certificate.key_.has_changed();
  if (auto loaded = certificate.load(); !loaded) return tl::unexpected(loaded.error());
  return certificate;
}

Result<void> TlsCertificate::load() {
  if (auto checked = key_.check(); !checked) {
    return fail(ErrorCode::invalid, fmt::format("the key of the API: {}", checked.error().message));
  }
  auto context = std::make_unique<ssl::context>(ssl::context::tls_server);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  SSL_CTX_set_options(context->native_handle(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                                    SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_session_cache_mode(context->native_handle(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context->native_handle(), SSL_MODE_RELEASE_BUFFERS);
  boost::system::error_code error;
  // A key with a passphrase is refused: nobody is there to be asked.
  context->set_password_callback([](std::size_t, auto) { return std::string(); }, error);
  context->use_certificate_chain_file(certificate_.path(), error);
  if (error) {
    return fail(ErrorCode::invalid, fmt::format("the certificate of the API, {}: {}",
                                                certificate_.path(), error.message()));
  }
  context->use_private_key_file(key_.path(), ssl::context::pem, error);
  if (error || SSL_CTX_check_private_key(context->native_handle()) != 1) {
    return fail(ErrorCode::invalid,
                fmt::format("the key of the API, {}: {}", key_.path(),
                            error ? error.message() : "it does not belong to the certificate"));
  }
  context_ = std::move(context);
  return {};
}

ssl::context& TlsCertificate::context() {
  const bool certificate_changed = certificate_.has_changed();
  if (key_.has_changed() || certificate_changed) {
    if (const auto loaded = load(); loaded) {
      spdlog::info("certificate of the API read anew: {}", certificate_.path());
    } else {
      spdlog::error("{}; the one before goes on", loaded.error().message);
    }
  }
  return *context_;
}

}  // namespace sluice::control
