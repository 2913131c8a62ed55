// SPDX-License-Identifier: Apache-2.0
//
// Requests that are nearly right, through the real server: whatever a client sends, the answer is
// one that tells it what is wrong, in the envelope; no 5xx, no change without a 200, nothing that
// grows.
//
// SLUICE_API_FUZZ_REQUESTS: how many; SLUICE_SEED: the run of a failure.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <random>

#include "control/web_assets.h"
#include "tests/control/api_bed.h"
#include "tests/control/odd_request.h"

namespace sluice::control {
namespace {

using oracle::Random;

constexpr std::uint64_t kRequests = 3000;
constexpr std::size_t kGrowthMax = 64u << 20;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kIsSanitized = true;
#else
constexpr bool kIsSanitized = false;
#endif

std::uint64_t environment_or(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
}

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

class ApiFuzz : public ApiBed {
 protected:
  void fill(ApiRooms& rooms) override { rooms.assets = find_web_asset; }
  HttpOptions options() override {
    HttpOptions options;
    options.requests_max = 0;  // as fast as it goes
    return options;
  }
  // Checks all that came back. True: one of the answers is a 200.
  bool check(const std::string& text) {
    bool is_good = false;
    for (std::size_t at = 0; at < text.size();) {
      const std::string rest = text.substr(at);
      EXPECT_TRUE(rest.starts_with("HTTP/1.1 ")) << rest.substr(0, 200);
      const int status = std::atoi(rest.c_str() + 9);
      const std::size_t end = rest.find("\r\n\r\n");
      if (!rest.starts_with("HTTP/1.1 ") || end == std::string::npos) return is_good;
      EXPECT_TRUE(status == 100 || (status >= 200 && status < 500)) << rest.substr(0, 500);
      tests::HttpReply reply;
      reply.head = rest.substr(0, end + 2);
      const std::string length = reply.header("Content-Length");
      std::size_t size = length.empty() ? 0 : std::stoul(length);
      size = std::min(size, rest.size() - end - 4);  // HEAD: none
      if (size != 0 && reply.header("Content-Type") == "application/json") {
        const auto json = rules::parse_json(rest.substr(end + 4, size));
        EXPECT_TRUE(json) << rest.substr(0, 500);
        if (json && !json->contains("openapi")) {
          EXPECT_EQ(json->value("code", 0), status) << rest.substr(0, 500);
          EXPECT_FALSE(json->value("message", "").empty()) << rest.substr(0, 500);
        }
      }
      is_good |= status == 200;
      at += end + 4 + size;
    }
    return is_good;
  }
};

TEST_F(ApiFuzz, AnswersWhateverComesAndStaysWhatItIs) {
  const std::uint64_t seed = environment_or("SLUICE_SEED", std::random_device{}());
  const std::uint64_t requests = environment_or("SLUICE_API_FUZZ_REQUESTS", kRequests);
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::uint64_t good = 0, silent = 0;
  std::size_t warm = 0;
  for (std::uint64_t i = 0; i < requests; ++i) {
    Random random(seed + i);
    const std::string request = tests::odd_request(random);
    const std::uint64_t before = publisher.state()->generation;
    auto connection = connect();
    ASSERT_TRUE(connection.is_open());
    connection.send(request);
    ::shutdown(connection.socket(), SHUT_WR);
    const std::string text = connection.receive();
    const bool is_good = check(text);
    good += is_good;
    silent += text.empty();
    EXPECT_TRUE(is_good || publisher.state()->generation == before);
    ASSERT_FALSE(HasFailure()) << "SLUICE_SEED=" << seed + i << " SLUICE_API_FUZZ_REQUESTS=1\n"
                               << request;
    if (i == requests / 5) warm = resident_bytes();
  }
  std::printf("%llu of %llu answered 200, %llu not at all\n", static_cast<unsigned long long>(good),
              static_cast<unsigned long long>(requests), static_cast<unsigned long long>(silent));
  if (requests >= 100) {
    EXPECT_GT(good, requests / 10);
    EXPECT_LT(silent, requests / 10);  // what was cut off before it was a request
  }
  if (!kIsSanitized) {
    EXPECT_LT(resident_bytes(), warm + kGrowthMax);
  }
  EXPECT_EQ(call("GET", at("/security_group/")).status, 200);
  EXPECT_EQ(plane.generation(), publisher.state()->generation);
}

}  // namespace
}  // namespace sluice::control
