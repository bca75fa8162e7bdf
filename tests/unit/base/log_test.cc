#include "base/log.h"

#include <gtest/gtest.h>

namespace safelight {
namespace {

TEST(Log, RemembersTheLastLines) {
  testing::internal::CaptureStderr();
  ASSERT_TRUE(init_logging("info").ok());
  for (size_t i = 0; i < kRememberedLines + 5; ++i) spdlog::info("line {}", i);
  spdlog::debug("not written");
  spdlog::warn("the last");
  EXPECT_TRUE(testing::internal::GetCapturedStderr().ends_with("warning: the last\n"));
  const std::vector<std::string> last = recent_log_lines(2);
  ASSERT_EQ(last.size(), 2U);
  EXPECT_TRUE(last[0].ends_with(" info: line 1004")) << last[0];
  EXPECT_TRUE(last[1].ends_with(" warning: the last")) << last[1];
  EXPECT_EQ(recent_log_lines(kRememberedLines * 2).size(), kRememberedLines);

  ASSERT_TRUE(init_logging("off").ok());
  EXPECT_EQ(recent_log_lines(1), (std::vector<std::string>{last[1]}));
  EXPECT_FALSE(init_logging("loud").ok());
}

}  // namespace
}  // namespace safelight
