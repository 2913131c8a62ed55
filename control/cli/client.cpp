// SPDX-License-Identifier: Apache-2.0
//
// HTTP to the daemon, over its UNIX socket or loopback, with libcurl.
#include <curl/curl.h>
#include <fmt/format.h>

#include <cstdlib>
#include <memory>

#include "control/cli/cli.h"

namespace sluice::control::cli {
namespace {

constexpr long kConnectTimeoutMs = 2000;
constexpr long kTimeoutMs = 30000;
constexpr std::string_view kPrefix = "/myaccount/api/v1";

std::size_t collect(char* bytes, std::size_t size, std::size_t count, void* body) {
  static_cast<std::string*>(body)->append(bytes, size * count);
  return size * count;
}

struct CloseCurl {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

int exit_code_of(long status) {
  switch (status) {
    case 400:
    case 413:
      return kExitUsage;
    case 401:
    case 403:
      return kExitPermission;
    case 404:
      return kExitNotFound;
    case 409:
    case 412:
      return kExitConflict;
    case 422:
      return kExitCapacity;
    case 503:
    case 507:
      return kExitUnreachable;
    default:
      return kExitGeneral;
  }
}

std::vector<std::string> details_of(const Json& envelope) {
  std::vector<std::string> details;
  const Json errors = envelope.value("errors", Json::object());
  if (!errors.is_object()) return details;
  for (const auto& [name, messages] : errors.items()) {
    if (!messages.is_array()) {
      details.push_back(fmt::format("{}: {}", name, messages.dump()));
      continue;
    }
    for (const Json& message : messages)
      details.push_back(fmt::format(
          "{}: {}", name, message.is_string() ? message.get<std::string>() : message.dump()));
  }
  return details;
}

std::vector<rules::Problem> problems_of(const Json& envelope) {
  std::vector<rules::Problem> problems;
  const Json errors = envelope.value("errors", Json::object());
  if (!errors.is_object()) return problems;
  for (const auto& [name, messages] : errors.items())
    for (const Json& message : messages.is_array() ? messages : Json::array({messages}))
      problems.push_back({name == "body" ? "" : name,
                          message.is_string() ? message.get<std::string>() : message.dump()});
  return problems;
}

tl::unexpected<Failure> unreachable(const Call& call, CURLcode code) {
  const bool denied = code == CURLE_COULDNT_CONNECT && errno == EACCES;
  return fail(denied ? kExitPermission : kExitUnreachable,
              fmt::format("sluiced does not answer at {} ({})", call.api, curl_easy_strerror(code)),
              "start sluiced, or name its address with --api or SLUICE_API");
}

struct Reply {
  long status = 0;
  std::string body;
};

// The secret of --token-file, else of SLUICE_TOKEN; empty: none.
Outcome<std::string> token_of(const Call& call) {
  const char* environment = std::getenv("SLUICE_TOKEN");
  std::string token = environment == nullptr ? "" : environment;
  if (call.has("token-file")) {
    auto text = read_text(call.text("token-file"));
    if (!text) return text;
    token = std::move(*text);
  }
  const std::size_t end = token.find_last_not_of(" \t\r\n");
  token.resize(end == std::string::npos ? 0 : end + 1);
  if (token.find_first_of("\r\n") != std::string::npos)
    return fail(kExitConfiguration, "the token is more than one line");
  return token;
}

Outcome<Reply> perform(const Call& call, std::string_view method, const std::string& path,
                       const Json& body) {
  const std::unique_ptr<CURL, CloseCurl> curl(curl_easy_init());
  Reply reply;
  std::string url = call.api;
  if (call.api.starts_with("unix:")) {
    url = "http://localhost";
    curl_easy_setopt(curl.get(), CURLOPT_UNIX_SOCKET_PATH, call.api.c_str() + 5);
  } else if (!call.api.starts_with("http://") && !call.api.starts_with("https://")) {
    return fail(kExitConfiguration,
                fmt::format("the API address \"{}\" is not understood", call.api),
                "write unix:/path/to/socket or http://127.0.0.1:port");
  }
  url += std::string(kPrefix) + path;
  const std::string sent =
      body.is_null() ? "" : body.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::unique_ptr<curl_slist, FreeList> headers(
      curl_slist_append(nullptr, "Content-Type: application/json"));
  const auto token = token_of(call);
  if (!token) return tl::unexpected(token.error());
  if (!token->empty() && !call.api.starts_with("unix:"))
    curl_slist_append(headers.get(), ("Authorization: Bearer " + *token).c_str());
  if (call.has("ca")) curl_easy_setopt(curl.get(), CURLOPT_CAINFO, call.text("ca").c_str());
  if (!call.if_match.empty())
    curl_slist_append(headers.get(), fmt::format("If-Match: \"{}\"", call.if_match).c_str());
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_CUSTOMREQUEST, std::string(method).c_str());
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, collect);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &reply.body);
  curl_easy_setopt(curl.get(), CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS, kTimeoutMs);
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_PROXY, "");  // the daemon is on this machine
  if (!body.is_null()) {
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, sent.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(sent.size()));
  }
  errno = 0;
  if (const CURLcode code = curl_easy_perform(curl.get()); code != CURLE_OK)
    return unreachable(call, code);
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &reply.status);
  return reply;
}

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

Outcome<Json> find_in(const Json& items, const std::string& id_or_name, const char* name_field,
                      const char* what, const char* verb) {
  for (const Json& item : items)
    if (field(item, name_field) == id_or_name) return item;
  if (is_number(id_or_name))
    for (const Json& item : items)
      if (field(item, "id") == id_or_name) return item;
  return fail(kExitNotFound, fmt::format("there is no {} \"{}\"", what, id_or_name),
              fmt::format("sluicectl {} shows those there are", verb));
}

}  // namespace

namespace {

Outcome<Json> envelope_of(const Call& call, const Reply& reply) {
  auto envelope = rules::parse_json(reply.body);
  if (!envelope || !envelope->is_object()) {
    return fail(kExitUnreachable,
                fmt::format("what answers at {} is not sluiced (HTTP {})", call.api, reply.status),
                "check --api or SLUICE_API");
  }
  if (reply.status != 200) {
    return tl::unexpected<Failure>(Failure{exit_code_of(reply.status), field(*envelope, "message"),
                                           details_of(*envelope), "", problems_of(*envelope)});
  }
  return *envelope;
}

}  // namespace

Outcome<Json> request_whole(const Call& call, std::string_view method, const std::string& path,
                            const Json& body) {
  const auto reply = perform(call, method, path, body);
  if (!reply) return tl::unexpected(reply.error());
  return envelope_of(call, *reply);
}

Outcome<std::string> fetch(const Call& call, const std::string& path) {
  auto reply = perform(call, "GET", path, nullptr);
  if (!reply) return tl::unexpected(reply.error());
  if (reply->status == 200) return std::move(reply->body);
  const auto envelope = envelope_of(call, *reply);
  return tl::unexpected(envelope.error());
}

Outcome<Json> request(const Call& call, std::string_view method, const std::string& path,
                      const Json& body) {
  return request_whole(call, method, path, body).map([](Json envelope) -> Json {
    return envelope.value("data", Json());
  });
}

Outcome<Json> list_all_lbs(const Call& call) {
  Json all = Json::array();
  for (std::size_t page = 1;; ++page) {
    auto envelope =
        request_whole(call, "GET", fmt::format("/appliances/?page_no={}&per_page=1000", page));
    if (!envelope) return envelope;
    for (Json& item : (*envelope)["data"]) all.push_back(std::move(item));
    if (page >= envelope->value("total_page_number", std::size_t{1})) return all;
  }
}

Outcome<Json> find_lb(const Call& call, const std::string& id_or_name) {
  auto items = list_all_lbs(call);
  if (!items) return items;
  return find_in(*items, id_or_name, "appliance_name", "load balancer", "lb list");
}

Outcome<Json> find_group(const Call& call, const std::string& id_or_name) {
  auto items = request(call, "GET", "/security_group/");
  if (!items) return items;
  return find_in(*items, id_or_name, "name", "security group", "security-group list");
}

}  // namespace sluice::control::cli
