#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <thread>

#include "base/file.h"
#include "http/auth/key_store.h"

namespace safelight::http {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kNow = 1'700'000'000;

class Keys : public testing::Test {
 protected:
  void SetUp() override { fs::remove_all(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  AddedKey add(const KeyRecord& wish) {
    Result<AddedKey> added = add_key(file_, wish, kNow);
    EXPECT_TRUE(added.ok()) << added.error().message;
    return std::move(*added);
  }

  const fs::path folder_ = fs::path(testing::TempDir()) / "safelight_keys_test";
  const fs::path file_ = folder_ / "data" / "keys.json";
};

TEST_F(Keys, AreKeptAsHashesForTheirOwnerAlone) {
  const AddedKey added = add({.name = "ann"});
  EXPECT_TRUE(added.key.starts_with("sl_"));
  EXPECT_EQ(added.key.size(), 3U + 43U);
  const std::string text = *read_file(file_);
  EXPECT_EQ(text.find(added.key.substr(3)), std::string::npos);
  EXPECT_NE(text.find(key_digest(added.key)), std::string::npos);
  struct stat info {};
  ASSERT_EQ(::stat(file_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST_F(Keys, ComeBackAsTheyWere) {
  add({.name = "ann",
       .role = api::Role::kAdmin,
       .quota = {.pictures = 100, .megapixel_steps = 12.5},
       .per_minute = 7,
       .expires = kNow + 10});
  const auto keys = read_keys(file_);
  ASSERT_TRUE(keys.ok()) << keys.error().message;
  ASSERT_EQ(keys->size(), 1U);
  const KeyRecord& key = keys->front();
  EXPECT_EQ(key.name, "ann");
  EXPECT_EQ(key.role, api::Role::kAdmin);
  EXPECT_EQ(key.quota, (api::Quota{100, 12.5}));
  EXPECT_EQ(key.per_minute, 7);
  EXPECT_EQ(key.created, kNow);
  EXPECT_TRUE(key.active(kNow + 9));
  EXPECT_FALSE(key.active(kNow + 10));
}

TEST_F(Keys, NamesAreTakenOnce) {
  const AddedKey first = add({.name = "ann"});
  EXPECT_EQ(add_key(file_, {.name = "ann"}, kNow).error().code, ErrorCode::kConflict);
  ASSERT_TRUE(revoke_key(file_, first.record.id, kNow).ok());
  add({.name = "ann"});
  for (const std::string& bad : {std::string(), std::string(" ann"), std::string("a\nb"),
                                 std::string("\xff"), std::string(101, 'a')})
    EXPECT_EQ(add_key(file_, {.name = bad}, kNow).error().code, ErrorCode::kInvalidArgument) << bad;
}

TEST_F(Keys, RevokingNamesTheNearest) {
  add({.name = "printer"});
  const auto revoked = revoke_key(file_, "printr", kNow);
  EXPECT_EQ(revoked.error().code, ErrorCode::kNotFound);
  EXPECT_NE(revoked.error().message.find("did you mean 'printer'"), std::string::npos);
  ASSERT_TRUE(revoke_key(file_, "printer", kNow).ok());
  EXPECT_FALSE(revoke_key(file_, "printer", kNow).ok());
}

TEST_F(Keys, SeveralProcessesLoseNone) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        EXPECT_TRUE(
            add_key(file_, {.name = "key " + std::to_string(t) + "." + std::to_string(i)}, kNow)
                .ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(read_keys(file_)->size(), 40U);
}

TEST_F(Keys, DamagedFilesAreNamed) {
  const std::string digest(64, 'a');
  const auto with = [&](const std::string& key) { return "{\"keys\":[" + key + "]}"; };
  for (const std::string& text :
       {std::string("{"), std::string("[]"), std::string("{\"keys\":3}"), with("4"),
        with(R"({"id":"x","name":"n","role":"god","sha256":")" + digest + "\"}"),
        with(R"({"id":"x","name":"n","role":"user","sha256":"abc","pictures_per_day":0,)"
             R"("megapixel_steps_per_day":0,"requests_per_minute":0,"created":0,"expires":0,)"
             R"("last_used":0,"revoked":0})"),
        with(R"({"id":"x","name":"n","role":"user","sha256":")" + digest +
             R"(","pictures_per_day":-1,"megapixel_steps_per_day":0,"requests_per_minute":0,)"
             R"("created":0,"expires":0,"last_used":0,"revoked":0})")}) {
    ASSERT_TRUE(write_private_file(file_, text).ok());
    const auto keys = read_keys(file_);
    ASSERT_FALSE(keys.ok()) << text;
    EXPECT_EQ(keys.error().code, ErrorCode::kCorruptFile);
    EXPECT_NE(keys.error().message.find("keys.json"), std::string::npos);
    EXPECT_FALSE(add_key(file_, {.name = "b"}, kNow).ok()) << "what is damaged is not overwritten";
  }
}

TEST_F(Keys, ARunningServerFollowsTheFile) {
  KeyStore store(file_);
  ASSERT_TRUE(store.refresh().ok());
  EXPECT_FALSE(store.any());
  const AddedKey added = add({.name = "ann"});
  EXPECT_FALSE(store.find(added.key, kNow).ok());
  ASSERT_TRUE(store.refresh().ok());
  EXPECT_TRUE(store.any());
  ASSERT_TRUE(store.find(added.key, kNow).ok());
  EXPECT_EQ(store.find(added.key, kNow)->name, "ann");
  EXPECT_EQ(store.find_id(added.record.id, kNow)->name, "ann");
  ASSERT_TRUE(revoke_key(file_, "ann", kNow).ok());
  ASSERT_TRUE(store.refresh().ok());
  const auto revoked = store.find(added.key, kNow);
  EXPECT_EQ(revoked.error().code, ErrorCode::kUnauthenticated);
  EXPECT_EQ(revoked.error().message, "the API key 'ann' was revoked");
  EXPECT_FALSE(store.find_id(added.record.id, kNow).ok());
  EXPECT_TRUE(store.any()) << "revoking the last key opens no door";
  fs::remove(file_);
  ASSERT_TRUE(store.refresh().ok());
  EXPECT_TRUE(store.any());
}

TEST_F(Keys, OnlyTheWholeKeyIsTheKey) {
  const AddedKey added = add({.name = "ann"});
  KeyStore store(file_);
  ASSERT_TRUE(store.refresh().ok());
  for (const std::string& guess :
       {std::string(), std::string("sl_"), added.key.substr(0, added.key.size() - 1),
        added.key + "A", key_digest(added.key), added.record.id})
    EXPECT_FALSE(store.find(guess, kNow).ok()) << guess;
}

TEST_F(Keys, ExpiredKeysSaySo) {
  const AddedKey added = add({.name = "ann", .expires = kNow + 5});
  KeyStore store(file_);
  ASSERT_TRUE(store.refresh().ok());
  EXPECT_TRUE(store.find(added.key, kNow + 4).ok());
  EXPECT_EQ(store.find(added.key, kNow + 5).error().message, "the API key 'ann' has expired");
}

TEST_F(Keys, ADamagedFileLetsNobodyNewInAndNobodyOut) {
  const AddedKey added = add({.name = "ann"});
  KeyStore store(file_);
  ASSERT_TRUE(store.refresh().ok());
  ASSERT_TRUE(write_private_file(file_, "{").ok());
  EXPECT_FALSE(store.refresh().ok());
  EXPECT_TRUE(store.find(added.key, kNow).ok());
  EXPECT_TRUE(store.refresh().ok()) << "it is complained about once";
  KeyStore fresh(file_);
  EXPECT_FALSE(fresh.refresh().ok());
  EXPECT_TRUE(fresh.any());
}

TEST_F(Keys, LastUseIsCoarse) {
  const AddedKey added = add({.name = "ann"});
  KeyStore store(file_);
  ASSERT_TRUE(store.refresh().ok());
  const KeyRecord record = *store.find(added.key, kNow);
  EXPECT_TRUE(store.touch_due(record, kNow));
  EXPECT_FALSE(store.touch_due(record, kNow + 1)) << "one thread writes it down";
  ASSERT_TRUE(store.touch(record.id, kNow).ok());
  EXPECT_EQ(read_keys(file_)->front().last_used, kNow);
  ASSERT_TRUE(store.refresh().ok());
  EXPECT_FALSE(store.touch_due(*store.find(added.key, kNow), kNow + kTouchInterval - 1));
  EXPECT_TRUE(store.touch_due(*store.find(added.key, kNow), kNow + kTouchInterval));
}

TEST_F(Keys, RefreshIsDueOnceASecond) {
  KeyStore store(file_);
  const Instant now = Instant{} + std::chrono::hours(1);
  EXPECT_TRUE(store.refresh_due(now));
  EXPECT_FALSE(store.refresh_due(now + std::chrono::milliseconds(999)));
  EXPECT_TRUE(store.refresh_due(now + std::chrono::seconds(1)));
  EXPECT_FALSE(KeyStore("").refresh_due(now));
}

}  // namespace
}  // namespace safelight::http
