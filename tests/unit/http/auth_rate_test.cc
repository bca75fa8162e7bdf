#include <gtest/gtest.h>

#include <thread>

#include "http/auth/rate_limiter.h"

namespace safelight::http {
namespace {

using std::chrono::seconds;

TEST(Rate, ABucketHoldsAMinuteAndFillsEvenly) {
  RateLimiter limiter(60);
  const Instant start{};
  for (int i = 0; i < 60; ++i) EXPECT_TRUE(limiter.take("a", 1, start).allowed) << i;
  const auto refused = limiter.take("a", 1, start);
  EXPECT_FALSE(refused.allowed);
  EXPECT_DOUBLE_EQ(refused.limit, 60);
  EXPECT_DOUBLE_EQ(refused.remaining, 0);
  EXPECT_DOUBLE_EQ(refused.reset, 60);
  EXPECT_DOUBLE_EQ(refused.retry_after, 1);
  EXPECT_TRUE(limiter.take("b", 1, start).allowed) << "another key has a bucket of its own";
  EXPECT_TRUE(limiter.take("a", 1, start + seconds(1)).allowed);
  EXPECT_FALSE(limiter.take("a", 1, start + seconds(1)).allowed);
  EXPECT_DOUBLE_EQ(limiter.take("a", 1, start + seconds(1000)).remaining, 59);
}

TEST(Rate, CostsDiffer) {
  RateLimiter limiter(10);
  const Instant start{};
  EXPECT_DOUBLE_EQ(limiter.take("a", 5, start).remaining, 5);
  EXPECT_DOUBLE_EQ(limiter.take("a", 0, start).limit, 0) << "free";
  const auto refused = limiter.take("a", 8, start);
  EXPECT_FALSE(refused.allowed);
  EXPECT_DOUBLE_EQ(refused.retry_after, 18);
  EXPECT_TRUE(limiter.take("a", 8, start + seconds(18)).allowed) << "who waits as told gets it";
  EXPECT_TRUE(limiter.take("b", 1000, start).allowed) << "takes a whole bucket, not for ever none";
  EXPECT_FALSE(limiter.take("b", 1, start).allowed);
  limiter.give_back("b", 1);
  EXPECT_TRUE(limiter.take("b", 1, start).allowed);
  limiter.give_back("b", 1e9);
  EXPECT_DOUBLE_EQ(limiter.take("b", 1, start).remaining, 9) << "never more than it holds";
}

TEST(Rate, AKeyMayHaveItsOwn) {
  RateLimiter limiter(10);
  EXPECT_DOUBLE_EQ(limiter.take("a", 1, {}, 1000).remaining, 999);
  EXPECT_DOUBLE_EQ(limiter.take("b", 1, {}).remaining, 9);
}

TEST(Rate, NoneLimitsNothing) {
  RateLimiter limiter(0);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(limiter.take("a", 1, {}).allowed);
  EXPECT_EQ(limiter.size(), 0U);
}

TEST(Rate, RemembersTheLastSeenOnly) {
  RateLimiter limiter(2, 3);
  const Instant now{};
  for (const char* key : {"a", "a", "b", "c"}) limiter.take(key, 1, now);
  EXPECT_FALSE(limiter.take("a", 1, now).allowed);
  limiter.take("d", 1, now);  // b was seen longest ago
  EXPECT_EQ(limiter.size(), 3U);
  EXPECT_FALSE(limiter.take("a", 1, now).allowed);
  for (int i = 0; i < 100'000; ++i) limiter.take(std::to_string(i), 1, now);
  EXPECT_EQ(limiter.size(), 3U);
}

TEST(Rate, AClockThatStandsStillOrGoesBackGivesNothing) {
  RateLimiter limiter(1);
  const Instant now = Instant{} + seconds(100);
  EXPECT_TRUE(limiter.take("a", 1, now).allowed);
  EXPECT_FALSE(limiter.take("a", 1, now - seconds(90)).allowed);
  EXPECT_FALSE(limiter.take("a", 1, now).allowed);
}

TEST(Rate, ThreadsShareABucket) {
  RateLimiter limiter(1000);
  std::atomic<int> allowed = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) allowed += limiter.take("a", 1, {}).allowed ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(allowed, 1000);
}

}  // namespace
}  // namespace safelight::http
