// SPDX-License-Identifier: Apache-2.0
#include "tests/control/odd_request.h"

#include <fmt/format.h>

#include <vector>

#include "control/api.h"
#include "rules/json.h"

namespace sluice::tests {
namespace {

using control::kApiPrefix;
using oracle::below;
using oracle::Random;
using rules::Json;

struct Sent {
  std::string method, target, body;
};

// What clients send, more or less; {} is a small number.
const std::vector<Sent> kCorpus{
    {"GET", "/security_group/", ""},
    {"GET", "/security_group/{}/", ""},
    {"DELETE", "/security_group/{}/", ""},
    {"PUT", "/security_group/{}/mark-default/", ""},
    {"POST", "/security_group/", R"({"name":"g{}","description":"d","rules":[
       {"rule_type":"Inbound","protocol_name":"Custom_TCP","port_range":"80,443","network":"any"},
       {"rule_type":"Inbound","protocol_name":"ICMP","icmp_type":8,"network":"10.0.0.0/8"},
       {"rule_type":"Inbound","protocol_name":"UDP","port_range":"1-5","network":"manual",
        "network_cidr":"10.1.0.0","network_size":300},
       {"rule_type":"Outbound","protocol_name":"All","network":"any"}]})"},
    {"PUT", "/security_group/{}/", R"({"name":"g{}","description":"","rules":[
       {"rule_type":"Inbound","protocol_name":"58","network":"::/0"},
       {"rule_type":"Outbound","protocol_name":"All","network":"myNetwork","vpc_id":{}}]})"},
    {"GET", "/security_group/{}/attach/?available=1", ""},
    {"POST", "/security_group/{}/attach/", R"({"security_group_ids":[{},{}],"flows":"drain:5"})"},
    {"POST", "/security_group/{}/attach/", R"({"security_group_id":{},"dry_run":true})"},
    {"POST", "/security_group/{}/detach/", R"({"security_group_ids":[{}],"confirm_within":60})"},
    {"POST", "/changes/{}/confirm/", ""},
    {"POST", "/changes/{}/rollback/", ""},
    {"GET", "/changes/", ""},
    {"GET", "/appliances/?page_no={}&per_page={}", ""},
    {"GET", "/appliances/{}/", ""},
    {"DELETE", "/appliances/{}/", ""},
    {"POST", "/appliances/load-balancers/",
     R"({"lb_name":"l{}","lb_reserve_ip":"203.0.113.{}","host_target_ipv6":"2001:db8::{}",
       "status":"Running","backends":[{"servers":[{"backend_ip":"10.0.0.{}","backend_port":80}]}],
       "security_group_id":[{}]})"},
    {"PUT", "/appliances/load-balancers/{}/",
     R"({"lb_name":"l{}","lb_reserve_ip":"203.0.113.{}"})"},
    {"PUT", "/appliances/{}/status/", R"({"status":"Running"})"},
    {"GET", "/appliances/{}/security_group/", ""},
    {"GET", "/nodes/{}/", ""},
    {"GET", "/vpc/list/", ""},
    {"POST", "/vpc/", R"({"vpc_name":"v{}","ipv4_cidr":"10.{}.0.0/16"})"},
    {"PUT", "/vpc/{}/", R"({"vpc_name":"v{}","cidrs":["10.{}.0.0/16","fd00::/64"]})"},
    {"DELETE", "/vpc/{}/", ""},
    {"POST", "/apply/", R"({"vpcs":[{"vpc_name":"v{}","cidrs":["10.{}.0.0/16"]}],"dry_run":true})"},
    {"POST", "/apply/", R"({"load_balancers":[],"flows":"keep"})"},
    {"GET", "/export/", ""},
    {"GET", "/table/", ""},
    {"GET", "/counters/?lb={}&summary=1", ""},
    {"GET", "/flows/?lb={}&remote=10.0.0.0/8&limit={}", ""},
    {"GET", "/drops/?reason=no_rule&limit={}", ""},
    {"POST", "/explain/",
     R"({"lb":{},"direction":"Inbound","protocol":"TCP","remote":"1.2.3.4","local_port":80})"},
    {"GET", "/audit/?limit={}", ""},
    {"GET", "/system_rules/", ""},
    {"GET", "/!/metrics", ""},
    {"GET", "/!/openapi.json", ""},
    {"GET", "/!/", ""},
};

std::string filled(std::string text, Random& random) {
  for (std::size_t at = 0; (at = text.find("{}", at)) != std::string::npos;)
    text.replace(at, 2, std::to_string(below(random, 9)));
  return text;
}

Json odd_value(Random& random) {
  switch (below(random, 16)) {
    case 0:
      return nullptr;
    case 1:
      return -1;
    case 2:
      return 1e300;
    case 3:
      return 18446744073709551615ull;
    case 4:
      return std::string(below(random, 300), 'x');
    case 5:
      return "\u00e9\u2603";
    case 6:
      return "0.0.0.0/33";
    case 7:
      return Json::array();
    case 8:
      return Json::object();
    case 9:
      return Json::array({1, "2", nullptr, Json::object()});
    case 10:
      return true;
    case 11:
      return "65536";
    case 12:
      return "1-0,,";
    case 13:
      return std::string("a\0b", 3);
    case 14:
      return 0.5;
    default:
      return std::to_string(random());
  }
}

// Somewhere in the value: another value, one member less, one more.
void bend(Json& json, Random& random) {
  if (json.is_structured() && !json.empty() && below(random, 4) != 0) {
    const std::size_t which = below(random, json.size());
    auto member = json.begin();
    std::advance(member, which);
    if (below(random, 6) == 0) {
      json.erase(member);
    } else {
      bend(*member, random);
    }
    return;
  }
  if (json.is_object() && below(random, 2) == 0) {
    json["odd" + std::to_string(below(random, 3))] = odd_value(random);
  } else if (json.is_array() && below(random, 2) == 0) {
    json.push_back(odd_value(random));
  } else {
    json = odd_value(random);
  }
}

void bend(std::string& text, Random& random) {
  for (std::uint64_t i = 0; i <= below(random, 4); ++i) {
    const std::size_t at = below(random, text.size() + 1);
    switch (below(random, 4)) {
      case 0:
        text.insert(at, 1, static_cast<char>(random()));
        break;
      case 1:
        text.erase(at, below(random, 8));
        break;
      case 2:
        text.insert(at, text.substr(below(random, text.size() + 1), below(random, 30)));
        break;
      default:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << below(random, 8)));
    }
  }
}

std::string body_of(const Sent& sent, Random& random) {
  std::string body = filled(sent.body, random);
  if (body.empty() || below(random, 4) == 0) return body;
  if (auto json = rules::parse_json(body); json && below(random, 4) != 0) {
    for (std::uint64_t i = 0; i <= below(random, 2); ++i) bend(*json, random);
    return json->dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  switch (below(random, 6)) {
    case 0:
      return std::string(below(random, 3000), '[');
    case 1:
      return body.insert(1, R"("name":1,"name":2,)");
    default:
      bend(body, random);
      return body;
  }
}

}  // namespace

std::string odd_request(Random& random, const std::set<std::string>& without) {
  Sent sent = kCorpus[below(random, kCorpus.size())];
  while (without.contains(sent.target)) sent = kCorpus[below(random, kCorpus.size())];
  sent.target = filled(sent.target, random);
  if (below(random, 12) == 0) bend(sent.target, random);
  if (below(random, 20) == 0) sent.method = kCorpus[below(random, kCorpus.size())].method;
  const std::string body = body_of(sent, random);
  const std::string target =
      sent.target.starts_with("/!") ? sent.target.substr(2) : std::string(kApiPrefix) + sent.target;
  std::string headers = "Host: localhost\r\nConnection: close\r\n";
  if (below(random, 10) == 0) headers += fmt::format("If-Match: \"{}\"\r\n", below(random, 50));
  if (below(random, 20) == 0) headers += "Expect: 100-continue\r\n";
  if (below(random, 20) == 0)
    headers += fmt::format("X-Odd: {}\r\n", std::string(below(random, 20'000), 'o'));
  if (below(random, 20) == 0) headers += "Authorization: Bearer sluice_nobody\r\n";
  if (below(random, 15) == 0) {
    headers += "Transfer-Encoding: chunked\r\n";
    const std::string text = fmt::format("{} {} HTTP/1.1\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
                                         sent.method, target, headers, body.size(), body);
    return text;
  }
  const std::uint64_t length =
      below(random, 20) == 0 ? below(random, 2 * body.size() + 10) : body.size();
  headers += fmt::format("Content-Length: {}\r\n", length);
  std::string text = fmt::format("{} {} HTTP/1.1\r\n{}\r\n{}", sent.method, target, headers, body);
  if (below(random, 15) == 0) bend(text, random);
  if (below(random, 40) == 0) text.resize(below(random, text.size() + 1));
  return text;
}

}  // namespace sluice::tests
