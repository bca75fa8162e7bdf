#include "api/quota.h"

#include <gtest/gtest.h>

namespace safelight::api {
namespace {

/// A store that only knows what an owner used.
class UsageStore final : public jobs::Store {
 public:
  Usage used;
  std::string asked_owner;
  jobs::Time asked_since = -1;

  Result<Usage> usage(const std::string& owner, jobs::Time since) override {
    asked_owner = owner;
    asked_since = since;
    return used;
  }
  Result<std::vector<jobs::Accepted>> submit(const std::vector<jobs::NewJob>&) override {
    return unused();
  }
  Result<jobs::Job> find(const std::string&) override { return unused(); }
  Result<jobs::Job> find_client_id(const std::string&, const std::string&) override {
    return unused();
  }
  Result<std::vector<jobs::Job>> list(const jobs::JobQuery&) override { return unused(); }
  Result<std::vector<jobs::StoredEvent>> events(const std::string&) override { return unused(); }
  Result<std::string> read_result(const std::string&, int64_t) override { return unused(); }
  Result<std::optional<jobs::Claim>> claim(const jobs::ClaimOptions&) override { return unused(); }
  Result<jobs::RenewedLease> renew(const jobs::Lease&, int64_t) override { return unused(); }
  Result<bool> finish(const jobs::Lease&, const jobs::Outcome&) override { return unused(); }
  Result<bool> give_back(const jobs::Lease&, bool, const std::string&) override { return unused(); }
  Result<jobs::State> cancel(const std::string&, jobs::CancelMode) override { return unused(); }
  Result<std::vector<jobs::Change>> sweep() override { return unused(); }
  Result<jobs::QueueCounts> counts() override { return unused(); }
  Result<std::vector<std::string>> order(size_t) override { return unused(); }

 private:
  static Error unused() { return {ErrorCode::kInternal, "not asked for by quotas"}; }
};

constexpr jobs::Time kNoon = 1'700'049'600'000;  // 2023-11-15T12:00:00Z
const Principal kLimited = {.name = "ann", .role = Role::kUser, .quota = {10, 500}};

TEST(Quota, CountsFromMidnightByOwner) {
  UsageStore store;
  EXPECT_TRUE(check_quota(store, kLimited, 10, 500, kNoon).ok());
  EXPECT_EQ(store.asked_owner, "ann");
  EXPECT_EQ(store.asked_since, kNoon - 12 * 3600 * 1000);
}

TEST(Quota, SaysWhatIsLeftAndWhenItIsLifted) {
  UsageStore store;
  store.used = {.pictures = 8, .cost = 480};
  EXPECT_TRUE(check_quota(store, kLimited, 2, 20, kNoon).ok());
  const Status pictures = check_quota(store, kLimited, 3, 1, kNoon);
  ASSERT_FALSE(pictures.ok());
  EXPECT_EQ(pictures.error().code, ErrorCode::kBusy);
  EXPECT_EQ(pictures.error().message,
            "the quota of 10 pictures a day leaves 2, and this asks for 3; it is lifted at "
            "2023-11-16T00:00:00Z");
  const Status cost = check_quota(store, kLimited, 1, 20.5, kNoon);
  ASSERT_FALSE(cost.ok());
  EXPECT_EQ(cost.error().message,
            "the quota of 500 megapixel-steps a day leaves 20, and this asks for 20.5; it is "
            "lifted at 2023-11-16T00:00:00Z");
}

TEST(Quota, DoesNotPromiseWhatWaitingCannotGive) {
  UsageStore store;
  const Status status = check_quota(store, kLimited, 11, 1, kNoon);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("ask for less in a day"), std::string::npos);
}

TEST(Quota, WithoutLimitsAsksNobody) {
  UsageStore store;
  EXPECT_TRUE(check_quota(store, {}, 1'000'000, 1e12, kNoon).ok());
  EXPECT_EQ(store.asked_since, -1);
}

}  // namespace
}  // namespace safelight::api
