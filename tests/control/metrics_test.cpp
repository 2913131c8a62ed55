// SPDX-License-Identifier: Apache-2.0
//
// GET /metrics, read back by a parser of the exposition format.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>
#include <sstream>

#include "dataplane/verdict.h"
#include "tests/control/api_bed.h"

namespace sluice::control {
namespace {

using tests::http_request;

// Takes a name of the format off the front of the line; empty: there is none.
std::string take_name(std::string_view& line) {
  const std::size_t end = line.find_first_not_of("abcdefghijklmnopqrstuvwxyz_");
  const std::string name(line.substr(0, end));
  line.remove_prefix(name.size());
  return name;
}
bool take(std::string_view& line, std::string_view what) {
  if (!line.starts_with(what)) return false;
  line.remove_prefix(what.size());
  return true;
}
// {name="value",…}, with \\, \" and \n in values. False: it is none.
bool take_labels(std::string_view& line) {
  if (!take(line, "{")) return true;
  do {
    if (take_name(line).empty() || !take(line, "=\"")) return false;
    while (!line.starts_with('"')) {
      if (line.starts_with('\\')) line.remove_prefix(1);
      if (line.empty()) return false;
      line.remove_prefix(1);
    }
    line.remove_prefix(1);
  } while (take(line, ","));
  return take(line, "}");
}

struct Family {
  std::string name, type;
  // "x" of "x_bucket", "x_sum" and "x_count", where it is a histogram.
  [[nodiscard]] bool has(const std::string& sample) const {
    if (type != "histogram") return sample == name;
    return sample == name + "_bucket" || sample == name + "_sum" || sample == name + "_count";
  }
};

// Samples by "name{labels}". Fails where a line is none of the format, or of no family.
std::map<std::string, double> parsed(const std::string& text) {
  std::map<std::string, double> samples;
  std::set<std::string> families;
  Family family;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::string_view rest = line;
    if (take(rest, "# HELP ")) {
      family = {take_name(rest), ""};
      EXPECT_TRUE(families.insert(family.name).second) << "twice: " << line;
      EXPECT_TRUE(take(rest, " ") && !rest.empty()) << line;
    } else if (take(rest, "# TYPE ")) {
      EXPECT_EQ(take_name(rest), family.name);
      family.type = rest.substr(1);
      EXPECT_TRUE(family.type == "gauge" || family.type == "counter" || family.type == "histogram");
      EXPECT_EQ(family.type == "counter", family.name.ends_with("_total")) << line;
    } else {
      const std::string name = take_name(rest);
      EXPECT_TRUE(family.has(name)) << line;
      EXPECT_TRUE(take_labels(rest)) << line;
      const std::string key = line.substr(0, line.size() - rest.size());
      char* end = nullptr;
      const double value = std::strtod(rest.data(), &end);
      EXPECT_TRUE(take(rest, " ") && !rest.empty() && *end == '\0') << line;
      EXPECT_TRUE(samples.emplace(key, value).second) << "twice: " << line;
    }
  }
  EXPECT_TRUE(text.ends_with("\n"));
  return samples;
}

class Metrics : public ApiBed {
 protected:
  void SetUp() override {
    ApiBed::SetUp();
    plane.counts.received = 100;
    plane.counts.passed = 90;
    plane.counts.dropped[static_cast<std::size_t>(dataplane::DropReason::no_rule)] = 7;
    plane.counts.dropped[static_cast<std::size_t>(dataplane::DropReason::spoofed)] = 3;
    plane.counts.flows_live = 12;
  }
  void fill(ApiRooms& rooms) override { rooms.http = &counts; }
  HttpCounts counts;
};

TEST_F(Metrics, AreOfTheFormatAndTellWhatTheNodeDoes) {
  ASSERT_EQ(call("POST", at("/security_group/"), group("a")).status, 200);
  counts.add(200, 700);
  counts.add(404, 90);
  counts.add(200, 2'000'000);
  const auto reply = call("GET", "/metrics");
  ASSERT_EQ(reply.status, 200);
  EXPECT_EQ(reply.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  const auto samples = parsed(reply.text);
  ASSERT_FALSE(HasFailure()) << reply.text;
  const auto value = [&](const std::string& key) {
    const auto found = samples.find(key);
    EXPECT_NE(found, samples.end()) << key;
    return found == samples.end() ? -1 : found->second;
  };
  EXPECT_EQ(value("sluice_generation"), 2);
  EXPECT_EQ(value(R"(sluice_worker_generation{worker="0",lcore="1"})"), 2);
  EXPECT_EQ(value("sluice_security_groups"), 3);  // two are built in
  EXPECT_EQ(value(R"(sluice_flows{worker="0"})"), 12);
  EXPECT_EQ(value(R"(sluice_port_missed_packets_total{device="fake0",side="outside"})"), 3);
  EXPECT_EQ(value(R"(sluice_http_requests_total{code="200"})"), 2);
  EXPECT_EQ(value(R"(sluice_http_request_duration_seconds_bucket{le="0.001"})"), 2);
  EXPECT_EQ(value(R"(sluice_http_request_duration_seconds_bucket{le="+Inf"})"), 3);
  EXPECT_EQ(value("sluice_http_request_duration_seconds_count"), 3);
  EXPECT_NEAR(value("sluice_http_request_duration_seconds_sum"), 2.00079, 1e-9);
  EXPECT_GT(value("sluice_resident_memory_bytes"), 1e6);

  // Every reason is there, and the books are right.
  double dropped = 0;
  std::size_t reasons = 0;
  for (const auto& [key, count] : samples) {
    if (!key.starts_with("sluice_packets_dropped_total{")) continue;
    dropped += count;
    ++reasons;
  }
  EXPECT_EQ(reasons, dataplane::kDropReasons - 1);
  EXPECT_EQ(value(R"(sluice_packets_received_total{worker="0"})"),
            value(R"(sluice_packets_passed_total{worker="0"})") + dropped);
}

TEST_F(Metrics, StandBesideThePrefixAndForReadingOnly) {
  EXPECT_EQ(call("GET", at("/metrics")).status, 404);
  const auto refused = call("POST", "/metrics", "{}");
  EXPECT_EQ(refused.status, 405);
  EXPECT_EQ(refused.header("Allow"), "GET");
  auto connection = connect();
  connection.send(http_request("HEAD", "/metrics"));
  EXPECT_NE(connection.receive("\r\n\r\n").find(" 200 "), std::string::npos);
}

}  // namespace
}  // namespace sluice::control
