#include "base/secrets.h"

#include <gtest/gtest.h>

#include <set>
#include <type_traits>

namespace safelight {
namespace {

template <class T>
concept Comparable = requires(const T& a, const T& b) {
  a == b;
};

// Nobody compares secrets by a comparison that ends at the first difference.
static_assert(!Comparable<Secret>);
static_assert(!std::is_convertible_v<Secret, std::string>);

TEST(Secret, EqualsOnlyTheWhole) {
  const Secret secret("correct horse");
  EXPECT_TRUE(secret.equals("correct horse"));
  for (size_t i = 0; i < secret.reveal().size(); ++i) {
    std::string guess = secret.reveal();
    guess[i] ^= 1;
    EXPECT_FALSE(secret.equals(guess)) << i;
  }
  EXPECT_FALSE(secret.equals("correct hors"));
  EXPECT_FALSE(secret.equals("correct horse "));
  EXPECT_FALSE(secret.equals(""));
  EXPECT_FALSE(Secret().equals("")) << "a secret that was never set lets nobody in";
}

TEST(RandomToken, Is256BitsFitForUrls) {
  std::set<std::string> tokens;
  for (int i = 0; i < 1000; ++i) tokens.insert(random_token());
  EXPECT_EQ(tokens.size(), 1000U);
  for (const std::string& token : tokens) {
    EXPECT_EQ(token.size(), 43U);
    EXPECT_EQ(token.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                      "0123456789-_"),
              std::string::npos)
        << token;
  }
}

TEST(Password, IsSaltedArgon2id) {
  const Result<std::string> hash = hash_password("s3cret:, with everything");
  ASSERT_TRUE(hash.ok());
  EXPECT_TRUE(hash->starts_with("$argon2id$v=19$m=65536,t=2,p=1$")) << *hash;
  EXPECT_NE(*hash, *hash_password("s3cret:, with everything"));
  EXPECT_TRUE(check_password_hash(*hash).ok());
  EXPECT_TRUE(check_password(*hash, "s3cret:, with everything"));
  EXPECT_FALSE(check_password(*hash, "s3cret:, with everything "));
  EXPECT_FALSE(check_password(*hash, ""));
}

TEST(Password, ReadsWhatOtherProgramsMake) {
  // The reference implementation's own test vector.
  const std::string hash =
      "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
  EXPECT_TRUE(check_password_hash(hash).ok());
  EXPECT_TRUE(check_password(hash, "password"));
  EXPECT_FALSE(check_password(hash, "Password"));
}

TEST(Password, RefusesHashesThatWouldTakeTheMachine) {
  for (const char* hash :
       {"", "password", "$2b$12$abcdefghijklmnopqrstuv", "$argon2id$v=19$m=1024,t=2,p=1",
        "$argon2i$v=19$m=1024,t=2,p=1$c29tZXNhbHQ$uVPR", "$argon2id$v=19$m=4194304,t=2,p=1$YQ$YQ",
        "$argon2id$v=19$m=1024,t=999999,p=1$YQ$YQ"}) {
    EXPECT_FALSE(check_password_hash(hash).ok()) << hash;
  }
  EXPECT_FALSE(check_password_hash("$argon2id$v=19$m=8,t=1,p=1$" + std::string(200, 'a')).ok());
}

}  // namespace
}  // namespace safelight
