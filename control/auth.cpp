// SPDX-License-Identifier: Apache-2.0
#include "control/auth.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <pwd.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

namespace sluice::control {

using rules::fail;
using rules::Result;

Result<Tokens> Tokens::open(const std::string& path) {
  Tokens tokens(path);
  (void)tokens.file_.has_changed();
  if (auto done = tokens.read(); !done) return tl::unexpected(done.error());
  return tokens;
}

Result<void> Tokens::read() {
  const auto text = file_.read();
  if (!text) return fail(text.error().code, fmt::format("token file: {}", text.error().message));
  auto tokens = read_tokens(*text);
  if (!tokens) {
    return fail(tokens.error().code,
                fmt::format("token file {}: {}", file_.path(), tokens.error().message));
  }
  tokens_ = std::move(*tokens);
  return {};
}

std::optional<Identity> Tokens::find(std::string_view secret) {
  if (file_.has_changed()) {
    if (const auto done = read(); done) {
      spdlog::info("token file {}: {} tokens", file_.path(), tokens_.size());
    } else {
      spdlog::error("{}; the tokens it had before still count", done.error().message);
    }
  }
  const TokenHash hash = hash_secret(secret);
  const Token* found = nullptr;
  for (const Token& token : tokens_)
    if (CRYPTO_memcmp(token.hash.data(), hash.data(), hash.size()) == 0) found = &token;
  if (found == nullptr) return std::nullopt;
  return Identity{"token " + found->name, found->role};
}

std::optional<Identity> UnixPeers::identify(int socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return std::nullopt;
  Identity identity{actor_of(peer.uid), Role::none};
  if (peer.uid == 0 || peer.uid == ::geteuid()) {
    identity.role = Role::admin;
  } else if (is_member(socket, peer.gid)) {
    identity.role = group_role_;
  }
  return identity;
}

bool UnixPeers::is_member(int socket, gid_t gid) const {
  if (gid == group_) return true;
  std::vector<gid_t> groups(64);
  for (int attempt = 0; attempt < 2; ++attempt) {
    auto size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    const int done = ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size);
    groups.resize(size / sizeof(gid_t));
    if (done == 0) return std::find(groups.begin(), groups.end(), group_) != groups.end();
    if (errno != ERANGE) return false;  // else: `size` says how many there are
  }
  return false;
}

const std::string& UnixPeers::actor_of(uid_t uid) {
  if (const auto known = actors_.find(uid); known != actors_.end()) return known->second;
  if (actors_.size() >= 4096) actors_.clear();
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> buffer(16384);
  std::string actor = fmt::format("uid {}", uid);
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
    actor += fmt::format(" ({})", found->pw_name);
  return actors_[uid] = std::move(actor);
}

}  // namespace sluice::control
