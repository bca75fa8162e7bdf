#include "text/prompt.h"

#include <gtest/gtest.h>

#include <chrono>

#include "text/chunks.h"
#include "text/emphasis.h"

namespace safelight::text {
namespace {

std::vector<std::pair<std::string, double>> parts(std::string_view prompt) {
  std::vector<std::pair<std::string, double>> result;
  for (const PromptPart& part : parse_prompt(prompt)) {
    result.emplace_back(part.is_break ? "<break>" : part.text, part.weight);
  }
  return result;
}

using Parts = std::vector<std::pair<std::string, double>>;

// The examples of SD WebUI's own documentation of parse_prompt_attention.
TEST(Prompt, ReadsAttention) {
  EXPECT_EQ(parts("normal text"), (Parts{{"normal text", 1}}));
  EXPECT_EQ(parts("an (important) word"), (Parts{{"an ", 1}, {"important", 1.1}, {" word", 1}}));
  EXPECT_EQ(parts("(unbalanced"), (Parts{{"unbalanced", 1.1}}));
  EXPECT_EQ(parts("\\(literal\\]"), (Parts{{"(literal]", 1}}));
  EXPECT_EQ(parts("(unnecessary)(parens)"), (Parts{{"unnecessaryparens", 1.1}}));
  const Parts house = parts("a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).");
  const Parts want{{"a ", 1},      {"house", 1.573}, {" ", 1.1},      {"on", 1}, {" a ", 1.1},
                   {"hill", 0.55}, {", sun, ", 1.1}, {"sky", 1.4641}, {".", 1.1}};
  ASSERT_EQ(house.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(house[i].first, want[i].first);
    EXPECT_NEAR(house[i].second, want[i].second, 1e-12);
  }
}

TEST(Prompt, TakesOddThingsAsText) {
  EXPECT_EQ(parts(""), (Parts{{"", 1}}));
  EXPECT_EQ(parts("a:1.2)"), (Parts{{"a:1.2)", 1}}));
  EXPECT_EQ(parts("(a:x)"), (Parts{{"a:x", 1.1}}));
  EXPECT_EQ(parts("(a:1.2.3)"), (Parts{{"a:1.2.3", 1.1}}));
  EXPECT_EQ(parts("(a: +1.5 )"), (Parts{{"a", 1.5}}));
  EXPECT_EQ(parts("(a:-0.5)"), (Parts{{"a", -0.5}}));
  EXPECT_EQ(parts("(a:inf)"), (Parts{{"a:inf", 1.1}}));
  EXPECT_EQ(parts("back\\slash\\\\"), (Parts{{"backslash\\", 1}}));
  EXPECT_EQ(parts("a]b)"), (Parts{{"a]b)", 1}}));
}

TEST(Prompt, FindsBreaks) {
  EXPECT_EQ(parts("a  BREAK\n b"), (Parts{{"a", 1}, {"<break>", 1}, {"b", 1}}));
  EXPECT_EQ(parts("BREAKFAST aBREAK éBREAK"), (Parts{{"BREAKFAST aBREAK éBREAK", 1}}));
  EXPECT_EQ(parts("一，BREAK，二"), (Parts{{"一，", 1}, {"<break>", 1}, {"，二", 1}}));
}

TEST(Prompt, StaysLinear) {
  const auto begin = std::chrono::steady_clock::now();
  for (const char* piece : {"(a", "[a", "(", ":1.1)", "(a:1.1)", "BREAK ", "\\", "a, "}) {
    std::string text;
    while (text.size() < 200000) text += piece;
    EXPECT_FALSE(parse_prompt(text).empty());
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

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

TEST(Emphasis, KeepsTheMean) {
  const std::vector<float> weights{1, 2};
  Tensor encoded({1, 2, 2}, {1, 2, 3, 6});
  emphasise(encoded, weights, Emphasis::kOriginal);  // sums 12 and 21
  EXPECT_FLOAT_EQ(encoded.data[0], 12.0F / 21);
  EXPECT_FLOAT_EQ(encoded.data[3], 12 * 12.0F / 21);
  Tensor plain({1, 2, 2}, {1, 2, 3, 6});
  emphasise(plain, weights, Emphasis::kNoNorm);
  EXPECT_EQ(plain.data, (std::vector<float>{1, 2, 6, 12}));
  emphasise(plain, weights, Emphasis::kIgnore);
  EXPECT_EQ(plain.data, (std::vector<float>{1, 2, 6, 12}));
  EXPECT_FALSE(find_emphasis("loud").ok());
}

TEST(ClipTokenizer, ReadsBackWhatItWrote) {
  const ClipTokenizer& tokenizer = ClipTokenizer::instance();
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("A photo of  the Cat, it's 42!")),
            "a photo of the cat , it 's 4 2 !");
  EXPECT_TRUE(tokenizer.encode("").empty());
}

TEST(ClipTokenizer, LongWordsAreFast) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(ClipTokenizer::instance().encode(std::string(200000, 'a')).empty());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

}  // namespace
}  // namespace safelight::text
