#include "http/auth/address.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "http/auth/exposure.h"
#include "http/auth/key_file.h"

namespace safelight::http {
namespace {

TEST(Address, LoopbackIsByNumber) {
  for (const char* local : {"127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", "localhost"})
    EXPECT_TRUE(is_local(local)) << local;
  for (const char* other : {"0.0.0.0", "::", "192.168.1.5", "128.0.0.1", "::2",
                            "localhost.evil.com", "127.0.0.1.evil.com", "", "127.1", "0x7f000001"})
    EXPECT_FALSE(is_local(other)) << other;
}

TEST(Address, LimitsCountNetworksOfIpv6) {
  EXPECT_EQ(limit_key("192.0.2.7"), "192.0.2.7");
  EXPECT_EQ(limit_key("::ffff:192.0.2.7"), "192.0.2.7");
  EXPECT_EQ(limit_key("2001:db8:1:2:3:4:5:6"), limit_key("2001:db8:1:2::9"));
  EXPECT_NE(limit_key("2001:db8:1:2::9"), limit_key("2001:db8:1:3::9"));
}

class Exposure : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(folder_); }
  AuthSettings settings_;
  const std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / "safelight_exposure";
};

TEST_F(Exposure, ElsewhereNeedsSomebodyWhoCanSignIn) {
  settings_.keys_file = folder_ / "keys.json";
  EXPECT_TRUE(check_exposure("127.0.0.1", settings_).ok());
  EXPECT_TRUE(check_exposure("::1", settings_).ok());
  for (const char* address : {"0.0.0.0", "::", "192.168.1.5", "example.com", ""}) {
    const Status status = check_exposure(address, settings_);
    ASSERT_FALSE(status.ok()) << address;
    EXPECT_NE(status.error().message.find("safelight keys add"), std::string::npos);
    EXPECT_NE(status.error().message.find("--auth user:password"), std::string::npos);
  }
  const auto key = add_key(settings_.keys_file, {.name = "ann"}, std::time(nullptr));
  ASSERT_TRUE(key.ok()) << key.error().message;
  EXPECT_TRUE(check_exposure("0.0.0.0", settings_).ok());
  ASSERT_TRUE(revoke_key(settings_.keys_file, "ann", std::time(nullptr)).ok());
  EXPECT_FALSE(check_exposure("0.0.0.0", settings_).ok()) << "a revoked key lets nobody in";
  settings_.users = {{.name = "bob", .password = "x"}};
  EXPECT_TRUE(check_exposure("0.0.0.0", settings_).ok());
}

TEST(AuthSettings, TakesUsersAsSdNextWritesThem) {
  const auto users = parse_users("ann:secret, bob:with:colons,");
  ASSERT_TRUE(users.ok());
  ASSERT_EQ(users->size(), 2U);
  EXPECT_EQ((*users)[0].name, "ann");
  EXPECT_EQ((*users)[1].password, "with:colons");
  EXPECT_EQ((*users)[1].role, api::Role::kAdmin);
}

TEST(AuthSettings, NeverRepeatsWhatMayBeAPassword) {
  for (const char* bad : {"hunter2", "ann:good,hunter2", "ann:", ":hunter2", "", " , "}) {
    const auto users = parse_users(bad);
    ASSERT_FALSE(users.ok()) << bad;
    EXPECT_EQ(users.error().message.find("hunter2"), std::string::npos) << users.error().message;
    EXPECT_EQ(users.error().message.find("good"), std::string::npos) << users.error().message;
  }
}

TEST(AuthSettings, ReadsAFileOfUsers) {
  const auto path = std::filesystem::path(testing::TempDir()) / "safelight_auth_file";
  ASSERT_TRUE(write_private_file(path,
                                 "# people\nann:one,bob:two\r\n\n"
                                 "eve:$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1a\n")
                  .ok());
  const auto users = read_auth_file(path);
  std::filesystem::remove(path);
  ASSERT_TRUE(users.ok()) << users.error().message;
  ASSERT_EQ(users->size(), 3U);
  EXPECT_EQ((*users)[1].password, "two");
  EXPECT_EQ((*users)[2].password, "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1a");
  EXPECT_EQ(read_auth_file(path).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace safelight::http
