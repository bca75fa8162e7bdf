#include "text/chunks.h"

#include <gtest/gtest.h>

namespace safelight::text {
namespace {

ChunkedPrompt chunked(const std::string& prompt) {
  return chunk_prompt(ClipTokenizer::instance(), parse_prompt(prompt));
}

std::string repeated(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

TEST(Chunks, FillWithEndMarks) {
  const ChunkedPrompt prompt = chunked("a (cat:1.5)");
  ASSERT_EQ(prompt.chunks.size(), 1U);
  EXPECT_EQ(prompt.token_count, 2U);
  const TokenChunk& chunk = prompt.chunks[0];
  EXPECT_EQ(std::vector<int32_t>(chunk.tokens.begin(), chunk.tokens.begin() + 5),
            (std::vector<int32_t>{49406, 320, 2368, 49407, 49407}));
  EXPECT_EQ(std::vector<float>(chunk.weights.begin(), chunk.weights.begin() + 4),
            (std::vector<float>{1, 1, 1.5F, 1}));
  EXPECT_EQ(chunk.tokens.back(), 49407);
  EXPECT_EQ(chunked("").chunks.size(), 1U);
  EXPECT_EQ(chunked("").token_count, 0U);
}

TEST(Chunks, CutLongPrompts) {
  EXPECT_EQ(chunked(repeated("cat ", 75)).chunks.size(), 1U);
  const ChunkedPrompt two = chunked(repeated("cat ", 76));
  ASSERT_EQ(two.chunks.size(), 2U);
  EXPECT_EQ(two.token_count, 76U);
  EXPECT_EQ(two.chunks[1].tokens[1], 2368);
  EXPECT_EQ(two.chunks[1].tokens[2], 49407);
}

TEST(Chunks, MoveWhatStandsBehindANearComma) {
  // 70 words, a comma, then 10 words: five fit, but they follow the comma into the next chunk.
  const ChunkedPrompt near = chunked(repeated("cat ", 70) + ", " + repeated("dog ", 10));
  ASSERT_EQ(near.chunks.size(), 2U);
  EXPECT_EQ(near.chunks[0].tokens[71], 267);
  EXPECT_EQ(near.chunks[0].tokens[72], 49407);
  EXPECT_EQ(near.chunks[1].tokens[1], near.chunks[1].tokens[10]);
  EXPECT_EQ(near.chunks[1].tokens[11], 49407);
  // Further away it stays.
  const ChunkedPrompt far = chunked(repeated("cat ", 50) + ", " + repeated("dog ", 30));
  EXPECT_NE(far.chunks[0].tokens[75], 49407);
}

TEST(Chunks, EndAtABreak) {
  const ChunkedPrompt prompt = chunked("cat BREAK dog");
  ASSERT_EQ(prompt.chunks.size(), 2U);
  EXPECT_EQ(prompt.token_count, 76U);
  EXPECT_EQ(prompt.chunks[0].tokens[2], 49407);
}

TEST(Chunks, PadTheShorter) {
  auto a = chunked(repeated("cat ", 200)).chunks, b = chunked("x").chunks;
  pad_to_same_count(a, b);
  ASSERT_EQ(b.size(), 3U);
  EXPECT_EQ(b[2].tokens[1], 49407);
}

}  // namespace
}  // namespace safelight::text
