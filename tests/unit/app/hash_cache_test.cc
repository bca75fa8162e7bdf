#include "app/hash_cache.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "unit/app/support.h"

namespace safelight::app {
namespace {

// FIPS 180-2, B.1, and of the empty message.
constexpr const char* kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr const char* kEmpty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

TEST(HashCache, RemembersOverProcesses) {
  const Folder folder;
  const auto model = folder.put("m.safetensors", "abc");
  EXPECT_EQ(HashCache(folder / "cache/hashes.json").known(model), std::nullopt);
  EXPECT_EQ(HashCache(folder / "cache/hashes.json").sha256(model).value(), kAbc);
  EXPECT_EQ(HashCache(folder / "cache/hashes.json").known(model), kAbc);
}

TEST(HashCache, IsTakenFromTheFileAndNotComputedAgain) {
  const Folder folder;
  const auto model = folder.put("m.safetensors", "abc");
  const auto file = folder / "hashes.json";
  ASSERT_TRUE(HashCache(file).sha256(model));
  std::string text = read_file(file).value();
  text.replace(text.find(kAbc), 4, "ffff");
  folder.put("hashes.json", text);
  EXPECT_EQ(HashCache(file).sha256(model).value().substr(0, 4), "ffff");
}

TEST(HashCache, ForgetsAModelThatChanged) {
  const Folder folder;
  const auto model = folder.put("m.safetensors", "abc");
  HashCache cache(folder / "hashes.json");
  ASSERT_TRUE(cache.sha256(model));
  folder.put("m.safetensors", "");
  EXPECT_EQ(cache.known(model), std::nullopt);
  EXPECT_EQ(cache.sha256(model).value(), kEmpty);
  // The same size at another time.
  folder.put("m.safetensors", "abc");
  ASSERT_TRUE(cache.sha256(model));
  std::filesystem::last_write_time(
      model, std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
  EXPECT_EQ(cache.known(model), std::nullopt);
}

TEST(HashCache, CountsABrokenFileAsEmpty) {
  const Folder folder;
  const auto model = folder.put("m.safetensors", "abc");
  for (const char* text : {"", "[", "[]", R"({"m": 3})", R"({"m": {"size": "3"}})"}) {
    folder.put("hashes.json", text);
    EXPECT_EQ(HashCache(folder / "hashes.json").known(model), std::nullopt) << text;
  }
}

TEST(HashCache, WorksWhereNothingCanBeKept) {
  const Folder folder;
  const auto model = folder.put("m.safetensors", "abc");
  folder.put("file", "");
  EXPECT_EQ(HashCache(folder / "file/hashes.json").sha256(model).value(), kAbc);
}

TEST(HashCache, FoldersHaveNoHashAndMissingFilesNeither) {
  const Folder folder;
  HashCache cache(folder / "hashes.json");
  EXPECT_EQ(cache.sha256(folder.path()).value(), "");
  EXPECT_EQ(cache.sha256(folder / "missing").value(), "");
}

TEST(HashCache, KnowsAllHashesOfAModel) {
  const Folder folder;
  const std::string header("\x02\0\0\0\0\0\0\0{}", 10);
  const auto model = folder.put("m.safetensors", header + "abc");
  const auto file = folder / "hashes.json";
  const ModelHashes computed = HashCache(file).all(model).value();
  EXPECT_EQ(computed.autov3, kAbc);
  EXPECT_EQ(computed.older, std::string(kEmpty).substr(0, 8));
  EXPECT_EQ(HashCache(file).known(model), computed.sha256);
  // They are remembered, also by a cache that knew only the first.
  std::string text = read_file(file).value();
  text.replace(text.find(kAbc), 4, "ffff");
  folder.put("hashes.json", text);
  EXPECT_EQ(HashCache(file).all(model)->autov3.substr(0, 4), "ffff");
  EXPECT_EQ(HashCache(file).compute(model)->autov3, kAbc);
  const auto other = folder.put("m.ckpt", "abc");
  ASSERT_TRUE(HashCache(file).sha256(other));
  EXPECT_EQ(HashCache(file).all(other)->sha256, kAbc);
  EXPECT_EQ(HashCache(file).all(other)->autov3, "");
  EXPECT_EQ(HashCache(file).all(folder.path())->sha256, "");
}

}  // namespace
}  // namespace safelight::app
