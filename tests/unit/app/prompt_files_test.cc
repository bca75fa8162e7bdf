#include "app/prompt_files.h"

#include <gtest/gtest.h>

#include "app/prompt_count.h"
#include "base/file.h"
#include "request/infotext.h"
#include "support/temporary_folder.h"

namespace safelight::app {
namespace {

using request::Request;

class PromptFilesTest : public ::testing::Test {
 protected:
  void write(const std::string& name, std::string_view text) {
    ASSERT_TRUE(write_file_atomically(folder_.path() / name, text).ok());
  }
  Status resolve(Request& request, bool ignores_unknown = false) {
    return resolve_prompts(request, prompt_files_of({folder_.path()}), ignores_unknown);
  }

  test::TemporaryFolder folder_;
};

TEST_F(PromptFilesTest, PutsStylesInBeforeWildcardsAreChosen) {
  write("styles.csv",
        "name,prompt,negative_prompt\nOil,\"{prompt}, {oil|oil} on __what__\",photo\n");
  write("wildcards/what.txt", "canvas\n");
  Request request;
  request.prompt = "cat";
  request.styles = {"oil"};
  ASSERT_TRUE(resolve(request).ok());
  EXPECT_EQ(request.prompt, "cat, oil on canvas");
  EXPECT_EQ(request.negative_prompt, "photo");
  EXPECT_TRUE(request.styles.empty());
  EXPECT_TRUE(request.all_prompts.empty());
  EXPECT_EQ(request.wildcards, "on");
  EXPECT_GE(request.seed, 0);
}

TEST_F(PromptFilesTest, EachPictureHasTheWordsOfItsSeed) {
  Request batch;
  batch.prompt = batch.negative_prompt = "{a|b|c|d|e|f|g|h} {a|b|c|d|e|f|g|h}";
  batch.seed = 100;
  batch.batch_size = 2;
  batch.batch_count = 3;
  ASSERT_TRUE(resolve(batch).ok());
  ASSERT_EQ(batch.all_prompts.size(), 6U);
  EXPECT_EQ(batch.prompt, batch.all_prompts[0]);
  for (size_t i = 0; i < 6; ++i) {
    Request alone;
    alone.prompt = alone.negative_prompt = "{a|b|c|d|e|f|g|h} {a|b|c|d|e|f|g|h}";
    alone.seed = 100 + static_cast<int64_t>(i);
    ASSERT_TRUE(resolve(alone).ok());
    EXPECT_EQ(alone.prompt, batch.all_prompts[i]);
    EXPECT_EQ(alone.negative_prompt, batch.all_negative_prompts[i]);
    // What was chosen is chosen for good: its text draws the same once more.
    Request again = request::parse_infotext(request::to_infotext(alone, "", "1")).request;
    ASSERT_TRUE(resolve(again).ok());
    EXPECT_EQ(again.prompt, alone.prompt);
  }
}

TEST_F(PromptFilesTest, VariationsKeepTheWords) {
  Request request;
  request.prompt = "{a|b|c|d|e|f|g|h} {a|b|c|d|e|f|g|h}";
  request.batch_count = 5;
  request.subseed_strength = 0.5;
  ASSERT_TRUE(resolve(request).ok());
  EXPECT_TRUE(request.all_prompts.empty());
}

TEST_F(PromptFilesTest, WhatStillLooksLikeAChoiceIsNoneLater) {
  Request request;
  request.prompt = "{a|b} __c__";
  request.wildcards = "off";
  ASSERT_TRUE(resolve(request).ok());
  EXPECT_EQ(request.prompt, "{a|b} __c__");
  EXPECT_EQ(request.wildcards, "off");
  const Request again = request::parse_infotext(request::to_infotext(request, "", "1")).request;
  EXPECT_EQ(again.wildcards, "off");
  request.prompt = "plain";
  ASSERT_TRUE(resolve(request).ok());
  EXPECT_EQ(request.wildcards, "on");
}

TEST_F(PromptFilesTest, UnknownNamesAreRefusedOrIgnored) {
  write("styles.csv", "name,prompt\nOil,oil\n");
  Request request;
  request.prompt = "cat __what__";
  EXPECT_EQ(resolve(request).error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(resolve(request, true).ok());
  EXPECT_EQ(request.prompt, "cat __what__");
  request.styles = {"Oll"};
  EXPECT_EQ(resolve(request).error().message, "there is no style 'Oll'; did you mean 'Oil'?");
  EXPECT_TRUE(resolve(request, true).ok());
}

TEST_F(PromptFilesTest, PromptsOfAllPicturesAreBounded) {
  write("wildcards/long.txt", std::string(500'000, 'x') + "\n");
  Request request;
  request.prompt = "__long__ {1|2}";
  request.batch_count = 100;
  EXPECT_EQ(resolve(request).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(PromptFilesTest, ComfyuisWeightsWeighAsInComfyui) {
  Request request;
  request.prompt_syntax = "comfyui";
  ASSERT_TRUE(resolve(request).ok());
  EXPECT_EQ(request.emphasis, "comfyui");
}

TEST(PromptCount, CountsAsSdWebuiShows) {
  const auto count = count_prompt("a cat", {});
  ASSERT_TRUE(count.ok());
  EXPECT_EQ(count->at("tokens").to_number<int>(), 2);
  EXPECT_EQ(count->at("limit").to_number<int>(), 75);
  const auto parts = count_prompt("a [cat:two dogs:3] AND b :0.5 <lora:x:1>", {.steps = 10});
  ASSERT_TRUE(parts.ok());
  EXPECT_EQ(parts->at("tokens").to_number<int>(), 3);
  ASSERT_EQ(parts->at("parts").as_array().size(), 2U);
  EXPECT_EQ(parts->at("parts").at(1).at("weight").to_number<double>(), 0.5);
  EXPECT_EQ(parts->at("parts").at(0).at("schedule").as_array().size(), 2U);
  EXPECT_EQ(count_prompt("cat BREAK dog", {})->at("chunks").to_number<int>(), 2);
  EXPECT_FALSE(count_prompt("a", {.syntax = "x"}).ok());
}

}  // namespace
}  // namespace safelight::app
