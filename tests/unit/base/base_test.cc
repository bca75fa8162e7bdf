#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <fstream>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/random.h"
#include "base/tensor.h"
#include "base/text.h"

namespace safelight {
namespace {

namespace fs = std::filesystem;

class Files : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_ = fs::temp_directory_path() / ("safelight-base-" + std::to_string(::getpid()));
};

TEST_F(Files, WritesWholeFilesAndReadsThem) {
  const fs::path path = folder_ / "new" / "file.txt";
  ASSERT_TRUE(write_file_atomically(path, "first").ok());
  ASSERT_TRUE(write_file_atomically(path, "second").ok());
  EXPECT_EQ(*read_file(path), "second");
  EXPECT_EQ(std::distance(fs::directory_iterator(path.parent_path()), fs::directory_iterator()), 1);
  const auto mapped = MappedFile::open(path);
  ASSERT_TRUE(mapped.ok());
  EXPECT_EQ((*mapped)->bytes().size(), 6U);
}

TEST_F(Files, SaysWhatIsWrong) {
  EXPECT_EQ(read_file(folder_ / "none").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(MappedFile::open(folder_).error().message,
            folder_.string() + ": is not a regular file");
  std::ofstream(folder_ / "big") << "123456";
  EXPECT_EQ(read_file(folder_ / "big", 5).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(read_file(folder_ / "big", 5).error().message,
            (folder_ / "big").string() + ": has 6 bytes; at most 5 are read here");
  EXPECT_FALSE(write_file_atomically(folder_, "x").ok());
  EXPECT_FALSE(write_file_atomically(folder_ / "big" / "below", "x").ok());
  EXPECT_FALSE(check_writable(folder_ / "big" / "below").ok());
  EXPECT_FALSE(check_writable(folder_).ok());
  EXPECT_TRUE(check_writable(folder_ / "made" / "x.png").ok());
  EXPECT_TRUE(fs::is_empty(folder_ / "made"));
}

TEST_F(Files, AnEmptyFileIsAnEmptyMap) {
  std::ofstream(folder_ / "empty").close();
  const auto mapped = MappedFile::open(folder_ / "empty");
  ASSERT_TRUE(mapped.ok());
  EXPECT_TRUE((*mapped)->bytes().empty());
}

TEST_F(Files, HashesKnownText) {
  // FIPS 180-4's example.
  constexpr auto kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  EXPECT_EQ(sha256(std::as_bytes(std::span("abc", 3))), kAbc);
  EXPECT_EQ(sha256({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  // NIST's long message: a million times "a".
  const std::string long_text(1000000, 'a');
  EXPECT_EQ(sha256(std::as_bytes(std::span(long_text))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  std::ofstream(folder_ / "abc") << "abc";
  EXPECT_EQ(*sha256_file(folder_ / "abc"), kAbc);
  EXPECT_EQ(sha256_file(folder_ / "none").error().code, ErrorCode::kNotFound);
}

TEST(Json, RefusesWhatIsAmbiguousOrDeep) {
  EXPECT_TRUE(parse_json(R"({"a": [1, 2.5, "x", null, true]} )").ok());
  EXPECT_EQ(parse_json(R"({"a": 1, "b": {"a": 2, "a": 3}})").error().message,
            "JSON has the key 'a' twice in one object");
  EXPECT_FALSE(parse_json("{} x").ok());
  EXPECT_FALSE(parse_json("{\"a\":").ok());
  EXPECT_FALSE(parse_json("").ok());
  EXPECT_FALSE(parse_json(std::string(100000, '[')).ok());
}

TEST(Text, FindsTheNearestName) {
  EXPECT_EQ(nearest_name("Eulr", {"Euler", "Euler a", "Heun"}), "Euler");
  EXPECT_EQ(nearest_name("emoji", {"emoji-128", "other"}), "emoji-128");
  EXPECT_EQ(nearest_name("zzzzzzzz", {"Euler", "Heun"}), "");
}

TEST(Text, ChecksUtf8) {
  EXPECT_EQ(find_invalid_utf8("plain é 猫 😀"), std::string_view::npos);
  EXPECT_EQ(find_invalid_utf8("ab\xff"), 2U);
  EXPECT_EQ(find_invalid_utf8("\xc0\xaf"), 0U);          // overlong
  EXPECT_EQ(find_invalid_utf8("\xed\xa0\x80"), 0U);      // a surrogate
  EXPECT_EQ(find_invalid_utf8("\xf4\x90\x80\x80"), 0U);  // beyond Unicode
  EXPECT_EQ(find_invalid_utf8("x\xe7\x8c"), 1U);         // cut off
  EXPECT_EQ(utf8_prefix("a猫b", 3), "a");
  EXPECT_EQ(utf8_prefix("a猫b", 4), "a猫");
  EXPECT_EQ(trimmed(" \t x y \n"), "x y");
  EXPECT_EQ(trimmed(" \n"), "");
  EXPECT_EQ(ascii_lower("DPM++ 2M É"), "dpm++ 2m É");
}

TEST(Text, SizesInBytes) {
  EXPECT_EQ(parse_bytes("1000000"), 1000000U);
  EXPECT_EQ(parse_bytes("4G"), uint64_t{4} << 30);
  EXPECT_EQ(parse_bytes(" 3.5 GiB "), uint64_t{7} << 29);
  EXPECT_EQ(parse_bytes("512mb"), uint64_t{512} << 20);
  EXPECT_EQ(parse_bytes("2ki"), 2048U);
  for (const char* wrong : {"", "G", "4X", "4GG", "-1G", "0", "0.1", "nan", "inf", "1e30", "4 4"})
    EXPECT_EQ(parse_bytes(wrong), std::nullopt) << wrong;
}

TEST(Tensors, MeasureTheirDistance) {
  const Tensor a({2}, {3, 4}), b({2}, {3, 4.5F});
  EXPECT_DOUBLE_EQ(nmse(b, a), 0.01);
  EXPECT_EQ(nmse(a, a), 0);
  EXPECT_TRUE(std::isinf(nmse(Tensor({1}), a)));
  EXPECT_TRUE(std::isinf(nmse(Tensor({2}, {3, NAN}), a)));
}

TEST(Errors, HaveOneRowEach) {
  for (const ErrorCode code :
       {ErrorCode::kInvalidArgument, ErrorCode::kNotFound, ErrorCode::kUnsupported,
        ErrorCode::kCorruptFile, ErrorCode::kIo, ErrorCode::kOutOfMemory, ErrorCode::kCancelled,
        ErrorCode::kRefused, ErrorCode::kInternal}) {
    EXPECT_EQ(error_info(code).code, code);
    EXPECT_NE(error_info(code).exit_status, 0);
  }
  EXPECT_EQ((Error{ErrorCode::kIo, "broken"}.in("file").message), "file: broken");
}

TEST(Logging, KnowsItsLevels) {
  for (const char* level : {"trace", "debug", "info", "error", "off", "warn"}) {
    EXPECT_TRUE(init_logging(level).ok()) << level;
  }
  EXPECT_EQ(init_logging("loud").error().message,
            "log level 'loud' is unknown; one of trace, debug, info, warn, error, off is needed");
}

TEST(RandomSeeds, Differ) { EXPECT_NE(random_seed(), random_seed()); }

}  // namespace
}  // namespace safelight
