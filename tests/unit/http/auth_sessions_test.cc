#include <gtest/gtest.h>

#include "http/auth/password_book.h"
#include "http/auth/session_table.h"

namespace safelight::http {
namespace {

using std::chrono::seconds;

const Instant kNow = Instant{} + std::chrono::hours(1000);
// "password", as the reference implementation's test vector has it.
constexpr const char* kHash =
    "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

TEST(Sessions, LastWhileTheyAreUsed) {
  SessionTable table(seconds(100), seconds(10));
  const std::string token = table.open("ann", "", kNow);
  EXPECT_FALSE(table.use("", kNow));
  EXPECT_FALSE(table.use(token + "x", kNow));
  for (int i = 9; i < 100; i += 9) EXPECT_TRUE(table.use(token, kNow + seconds(i))) << i;
  EXPECT_FALSE(table.use(token, kNow + seconds(100))) << "not for ever";
  EXPECT_EQ(table.size(), 0U);
  const std::string idle = table.open("ann", "", kNow);
  EXPECT_FALSE(table.use(idle, kNow + seconds(10)));
}

TEST(Sessions, HaveSecretsOfTheirOwn) {
  SessionTable table(seconds(100), seconds(10));
  const std::string a = table.open("ann", "", kNow), b = table.open("ann", "", kNow);
  EXPECT_NE(a, b);
  EXPECT_EQ(a.size(), 43U);
  EXPECT_FALSE(table.use(a, kNow)->csrf.equals(table.use(b, kNow)->csrf.reveal()));
  EXPECT_FALSE(table.use(a, kNow)->csrf.equals(a));
}

TEST(Sessions, EndWhenClosed) {
  SessionTable table(seconds(100), seconds(10));
  const std::string a = table.open("ann", "", kNow), b = table.open("ann", "", kNow);
  table.close(a);
  table.close("nonsense");
  EXPECT_FALSE(table.use(a, kNow));
  EXPECT_TRUE(table.use(b, kNow));
}

TEST(Sessions, NobodyTakesThemAll) {
  SessionTable table(seconds(1000), seconds(1000), 100);
  const std::string bob = table.open("bob", "", kNow);
  std::vector<std::string> tokens;
  for (int i = 0; i < 200; ++i) tokens.push_back(table.open("ann", "", kNow + seconds(i + 1)));
  EXPECT_EQ(table.size(), 51U);
  EXPECT_TRUE(table.use(bob, kNow + seconds(201))) << "ann loses her own, not bob's";
  EXPECT_FALSE(table.use(tokens.front(), kNow + seconds(201)));
  EXPECT_TRUE(table.use(tokens.back(), kNow + seconds(201)));
  for (int i = 0; i < 200; ++i) table.open("user " + std::to_string(i), "", kNow + seconds(300));
  EXPECT_EQ(table.size(), 100U);
}

TEST(Passwords, AreCheckedByArgon2) {
  const auto book = PasswordBook::make(
      {{.name = "ann", .password = "plain text"}, {.name = "bob", .password = kHash}});
  ASSERT_TRUE(book.ok());
  EXPECT_TRUE((*book)->check("ann", "plain text"));
  EXPECT_FALSE((*book)->check("ann", "plain texts"));
  EXPECT_TRUE((*book)->check("bob", "password"));
  EXPECT_FALSE((*book)->check("bob", kHash)) << "a stolen hash opens nothing";
  EXPECT_EQ((*book)->find("ann")->password, "") << "the plain text is not kept";
}

TEST(Passwords, NamesThatNobodyHasCostTheSame) {
  const auto book = PasswordBook::make({{.name = "bob", .password = kHash}});
  ASSERT_TRUE(book.ok());
  EXPECT_FALSE((*book)->check("bob", "wrong"));
  EXPECT_EQ((*book)->checks(), 1);
  EXPECT_FALSE((*book)->check("nobody", "wrong"));
  EXPECT_EQ((*book)->checks(), 2) << "one argon2id, as for a name that there is";
  EXPECT_FALSE((*book)->check("nobody", "password")) << "also not with somebody else's password";
  EXPECT_EQ((*book)->checks(), 3);
}

TEST(Passwords, AreRememberedAMinute) {
  const auto book = PasswordBook::make({{.name = "bob", .password = kHash}});
  ASSERT_TRUE(book.ok());
  EXPECT_FALSE((*book)->remembers("bob", "password", kNow));
  (*book)->remember("bob", "password", kNow);
  EXPECT_TRUE((*book)->remembers("bob", "password", kNow + seconds(59)));
  EXPECT_FALSE((*book)->remembers("bob", "password", kNow + seconds(60)));
  EXPECT_FALSE((*book)->remembers("bob", "passwor", kNow));
  EXPECT_FALSE((*book)->remembers("bobp", "assword", kNow)) << "name and password do not flow";
  for (int i = 0; i < 5000; ++i) (*book)->remember("bob", std::to_string(i), kNow);
  EXPECT_TRUE((*book)->remembers("bob", "4999", kNow));
}

TEST(Passwords, SettingsAreChecked) {
  const auto code = [](std::vector<UserSettings> users) {
    const auto book = PasswordBook::make(std::move(users));
    return book.ok() ? std::string() : book.error().message;
  };
  EXPECT_NE(code({{.name = "", .password = "x"}}), "");
  EXPECT_NE(code({{.name = "a:b", .password = "x"}}), "");
  EXPECT_NE(code({{.name = "ann", .password = ""}}), "");
  EXPECT_EQ(code({{.name = "ann", .password = "x"}, {.name = "ann", .password = "y"}}),
            "user 'ann' is there twice");
  EXPECT_NE(code({{.name = "ann", .password = "$argon2id$v=19$m=99999999,t=1,p=1$a$b"}}), "");
  EXPECT_EQ(code({}), "");
}

}  // namespace
}  // namespace safelight::http
