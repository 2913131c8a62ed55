// SPDX-License-Identifier: Apache-2.0
//
// Who asks, and what they may do: UNIX peers by their uid and groups, TCP clients by bearer token.
//
// Owner: the HTTP server's thread.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "control/token.h"
#include "control/watched_file.h"

namespace sluice::control {

struct Identity {
  std::string actor;  // "uid 0 (root)", "token deploy", "anonymous 127.0.0.1"
  Role role = Role::none;
};

// The tokens of --api-tokens; a change of the file counts from the next request on. A file that
// breaks is logged and changes nothing.
class Tokens {
 public:
  // Error: invalid; the file, and the line of it, named.
  [[nodiscard]] static rules::Result<Tokens> open(const std::string& path);
  // Takes the same time whichever token fits, or none.
  [[nodiscard]] std::optional<Identity> find(std::string_view secret);

 private:
  explicit Tokens(const std::string& path) : file_(path) {}
  [[nodiscard]] rules::Result<void> read();
  WatchedFile file_;
  std::vector<Token> tokens_;
};

// Peers of UNIX sockets: root and the daemon's own user are admin; members of the socket's group
// have the role configured for them; others, whoever opened the way to them, none.
class UnixPeers {
 public:
  UnixPeers(gid_t group, Role group_role) : group_(group), group_role_(group_role) {}
  // None: the kernel does not tell.
  [[nodiscard]] std::optional<Identity> identify(int socket);
  [[nodiscard]] gid_t group() const { return group_; }

 private:
  [[nodiscard]] bool is_member(int socket, gid_t gid) const;
  const std::string& actor_of(uid_t uid);
  gid_t group_;
  Role group_role_;
  std::map<uid_t, std::string> actors_;  // names may come over a network: asked for once
};

}  // namespace sluice::control
