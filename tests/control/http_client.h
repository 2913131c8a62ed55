// SPDX-License-Identifier: Apache-2.0
//
// The simplest HTTP client there can be: bytes in, bytes out, over a UNIX socket or loopback TCP.
#pragma once

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "rules/json.h"

namespace sluice::tests {

struct HttpReply {
  int status = 0;  // 0: nothing came that is HTTP
  std::string head;
  std::string text;
  rules::Json body;  // null where the text is no JSON

  // A header's value, without the case of its name; empty: there is none.
  [[nodiscard]] std::string header(std::string name) const {
    const auto lower = [](std::string word) {
      std::transform(word.begin(), word.end(), word.begin(), ::tolower);
      return word;
    };
    const std::size_t at = lower(head).find("\r\n" + lower(std::move(name)) + ": ");
    if (at == std::string::npos) return "";
    const std::size_t begin = head.find(": ", at) + 2;
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }
};

class HttpConnection {
 public:
  static HttpConnection to_unix(const std::string& path) {
    HttpConnection connection(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(path.begin(), path.end(), address.sun_path);
    connection.connect(reinterpret_cast<sockaddr*>(&address), sizeof(address));
    return connection;
  }
  static HttpConnection to_tcp(std::uint16_t port) {
    HttpConnection connection(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connection.connect(reinterpret_cast<sockaddr*>(&address), sizeof(address));
    return connection;
  }
  HttpConnection(HttpConnection&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
  HttpConnection& operator=(HttpConnection&&) = delete;
  ~HttpConnection() {
    if (socket_ >= 0) ::close(socket_);
  }

  [[nodiscard]] bool is_open() const { return socket_ >= 0; }
  [[nodiscard]] int socket() const { return socket_; }
  void send(const std::string& bytes) const {
    (void)!::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  // Everything until the server closes, or until `mark` has come, or for limit_s.
  [[nodiscard]] std::string receive(const std::string& mark = "", int limit_s = 10) {
    const timeval limit{limit_s, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    std::string chunk(65536, '\0');
    while (mark.empty() || kept_.find(mark) == std::string::npos) {
      const ssize_t count = ::recv(socket_, chunk.data(), chunk.size(), 0);
      if (count <= 0) break;
      kept_.append(chunk, 0, static_cast<std::size_t>(count));
    }
    const std::size_t at = mark.empty() ? std::string::npos : kept_.find(mark);
    const std::string text = kept_.substr(0, at == std::string::npos ? at : at + mark.size());
    kept_.erase(0, text.size());
    return text;
  }
  // One answer with a Content-Length, or to the end.
  [[nodiscard]] HttpReply reply(int limit_s = 10) {
    HttpReply reply = unread_reply(limit_s);
    if (const auto json = rules::parse_json(reply.text)) reply.body = *json;
    return reply;
  }
  // The same, its text left as it is.
  [[nodiscard]] HttpReply unread_reply(int limit_s = 10) {
    HttpReply reply;
    reply.head = receive("\r\n\r\n", limit_s);
    if (reply.head.size() < 12 || !reply.head.starts_with("HTTP/1.")) return reply;
    reply.status = std::stoi(reply.head.substr(9, 3));
    const std::string length = reply.header("Content-Length");
    const std::size_t size = length.empty() ? 0 : std::stoul(length);
    std::string chunk(65536, '\0');
    while (kept_.size() < size) {
      const ssize_t count = ::recv(socket_, chunk.data(), chunk.size(), 0);
      if (count <= 0) break;
      kept_.append(chunk, 0, static_cast<std::size_t>(count));
    }
    reply.text = kept_.substr(0, size);
    kept_.erase(0, reply.text.size());
    return reply;
  }

 private:
  explicit HttpConnection(int socket) : socket_(socket) {}
  void connect(const sockaddr* address, socklen_t size) {
    if (::connect(socket_, address, size) == 0) return;
    ::close(socket_);
    socket_ = -1;
  }
  int socket_;
  std::string kept_;
};

// "GET /path HTTP/1.1" with a Host, a Content-Length and further header lines ("Name: value\r\n").
inline std::string http_request(const std::string& method, const std::string& target,
                                const std::string& headers = "", const std::string& body = "") {
  const bool has_body = !body.empty() || method == "POST" || method == "PUT";
  return fmt::format("{} {} HTTP/1.1\r\n{}{}{}\r\n{}", method, target,
                     headers.find("Host:") == std::string::npos ? "Host: localhost\r\n" : "",
                     headers, has_body ? fmt::format("Content-Length: {}\r\n", body.size()) : "",
                     body);
}

}  // namespace sluice::tests
