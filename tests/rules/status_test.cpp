// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "rules/validate.h"

namespace sluice::rules {
namespace {

TEST(Status, IsReadInAnyCaseAndPrintedAsThePortalDoes) {
  for (const auto& [text, printed] : {std::pair{"creating", "Creating"},
                                      {"Deploying", "Deploying"},
                                      {"RUNNING", "Running"},
                                      {"powered off", "Powered off"},
                                      {"Upgrading", "Upgrading"},
                                      {"error", "Error"},
                                      {"backend status unavailable", "Backend Status Unavailable"},
                                      {"backend connection failure", "Backend Connection Failure"},
                                      {"deleting", "Deleting"}}) {
    const auto status = parse_status(text);
    ASSERT_TRUE(status) << text;
    EXPECT_EQ(to_string(*status), printed);
  }
  for (const char* text : {"Walking", "", "Powered_off", "Running!"})
    EXPECT_FALSE(parse_status(text)) << text;
}

}  // namespace
}  // namespace sluice::rules
