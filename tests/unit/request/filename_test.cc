#include "request/filename.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <regex>
#include <set>

#include "base/text.h"

namespace safelight::request {
namespace {

std::string named(std::string_view pattern, const Request& request = {}, int64_t number = 1) {
  return file_name(pattern, {request, "emoji-128", "0123456789"}, number);
}

TEST(FileName, FillsInEveryToken) {
  Request request;
  request.seed = 42;
  request.prompt = "a red apple";
  request.width = 512;
  request.height = 768;
  request.cfg_scale = 5.5;
  EXPECT_EQ(named("[seq]_[model_name]_[model_hash]", request), "00001_emoji-128_0123456789");
  EXPECT_EQ(named("[seq]", request, 1234567), "1234567");
  EXPECT_EQ(named("[seed]-[steps]-[cfg]-[width]x[height]", request), "42-20-5.5-512x768");
  EXPECT_EQ(named("[sampler] [schedule]", request), "DPM++ 2M Automatic");
  EXPECT_EQ(named("[prompt]", request), "a red apple");
}

TEST(FileName, TimesAndRandomIds) {
  EXPECT_TRUE(std::regex_match(named("[date]"), std::regex(R"(\d{4}-\d\d-\d\d)")));
  EXPECT_TRUE(std::regex_match(named("[datetime]"), std::regex(R"(\d{8}-\d{6})")));
  EXPECT_TRUE(std::regex_match(named("[time]"), std::regex(R"(\d{6})")));
  const std::regex version4("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  std::set<std::string> ids;
  for (int i = 0; i < 100; ++i) {
    const std::string id = named("[uuid]");
    EXPECT_TRUE(std::regex_match(id, version4)) << id;
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), 100U);
}

TEST(FileName, PromptWordsAreTheFirstEight) {
  Request request;
  request.prompt = "  ((one)), two:three [four].\nfive; six\tseven eight nine";
  EXPECT_EQ(named("[prompt_words]", request), "one two three four five six seven eight");
  request.prompt = "(,)";
  EXPECT_EQ(named("[prompt_words]", request), "picture");
}

TEST(FileName, HoldsNothingThatAFileSystemRefuses) {
  Request request;
  const auto of_prompt = [&](const std::string& prompt) {
    request.prompt = prompt;
    return named("[prompt]", request);
  };
  EXPECT_EQ(of_prompt("../../etc/passwd"), "_.._etc_passwd");
  EXPECT_EQ(of_prompt("a/b\\c:d*e?f\"g<h>i|j\nk\x7f"), "a_b_c_d_e_f_g_h_i_j_k_");
  EXPECT_EQ(of_prompt(".."), "picture");
  EXPECT_EQ(of_prompt(" . "), "picture");
  EXPECT_EQ(of_prompt(""), "picture");
  EXPECT_EQ(of_prompt("trailing. "), "trailing");
  EXPECT_EQ(of_prompt("--help"), "--help");  // the caller puts a folder before it
  EXPECT_EQ(named("/absolute/[seq]"), "_absolute_00001");
}

TEST(FileName, IsCutBetweenCharacters) {
  Request request;
  for (int shift = 0; shift < 4; ++shift) {
    request.prompt = std::string(static_cast<size_t>(shift), 'a');
    for (int i = 0; i < 100; ++i) request.prompt += "🍎";
    const std::string name = named("[prompt]-[prompt]-[prompt]", request);
    EXPECT_LE(name.size(), 200U);
    EXPECT_GT(name.size(), 190U);
    EXPECT_EQ(find_invalid_utf8(name), std::string::npos);
  }
}

TEST(FileNamePattern, UnknownTokensAreNamed) {
  EXPECT_TRUE(check_file_name_pattern(kDefaultFileNamePattern));
  EXPECT_TRUE(check_file_name_pattern("plain"));
  EXPECT_TRUE(check_file_name_pattern("not closed [seq"));
  EXPECT_EQ(named("not closed [seq"), "not closed [seq");
  const Status unknown = check_file_name_pattern("[seq]-[sed]");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().message,
            "the file name pattern has '[sed]'; known are [seq], [date], [datetime], [time], "
            "[model_name], [model_hash], [seed], [steps], [cfg], [sampler], [schedule], [width], "
            "[height], [prompt], [prompt_words], [uuid]");
}

TEST(NextNumber, IsBehindTheHighestInTheFolder) {
  std::string form = (std::filesystem::temp_directory_path() / "safelight-XXXXXX").string();
  const std::filesystem::path folder = ::mkdtemp(form.data());
  EXPECT_EQ(next_number(folder), 1);
  for (const std::string_view name : {"00002-a.png", "00007.jpg", "x00009.png", "-5.png",
                                      "99999999999999999999.png", ".hidden"}) {
    std::ofstream(folder / name) << "x";
  }
  EXPECT_EQ(next_number(folder), 8);
  std::filesystem::remove_all(folder);
  EXPECT_EQ(next_number(folder), 1);
}

}  // namespace
}  // namespace safelight::request
