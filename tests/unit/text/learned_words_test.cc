#include "text/learned_words.h"

#include <gtest/gtest.h>

#include "text/chunks.h"

namespace safelight::text {
namespace {

std::shared_ptr<const LearnedWord> word(const std::string& name, int64_t count) {
  return std::make_shared<LearnedWord>(
      LearnedWord{.name = name, .hash = name, .vectors = {Tensor({count, 4})}});
}

Vocabulary vocabulary() {
  Vocabulary words;
  words.add(word("EasyNegative", 3));
  words.add(word("bad", 1));
  words.add(word("bad hands", 2));
  words.add(word("<cat-toy>", 1));
  words.add(word("", 1));
  return words;
}

ChunkedPrompt chunked(const std::string& prompt, const Vocabulary& words = vocabulary()) {
  return chunk_prompt(ClipTokenizer::instance(), parse_prompt(prompt), words);
}

/// "name@chunk:position" of each word that was found.
std::string found_in(const std::string& prompt, const Vocabulary& words = vocabulary()) {
  std::string found;
  const auto chunks = chunked(prompt, words).chunks;
  for (size_t i = 0; i < chunks.size(); ++i) {
    for (const LearnedVectors& each : chunks[i].learned) {
      found += (found.empty() ? "" : " ") + each.word->name + "@" + std::to_string(i) + ":" +
               std::to_string(each.position);
    }
  }
  return found;
}

TEST(LearnedWords, AreFoundByTheirTokens) {
  EXPECT_EQ(found_in("a cat"), "");
  EXPECT_EQ(found_in("easynegative"), "EasyNegative@0:1");
  EXPECT_EQ(found_in("a EASYNEGATIVE, b"), "EasyNegative@0:2");
  EXPECT_EQ(found_in("easynegatives"), "");
  // The longest name first; what follows it is free again.
  EXPECT_EQ(found_in("bad hands, bad, bad hand"), "bad hands@0:1 bad@0:4 bad@0:6");
  EXPECT_EQ(found_in("a <cat-toy> here"), "<cat-toy>@0:2");
  // In weights, but not across them.
  EXPECT_EQ(found_in("(bad hands:1.3)"), "bad hands@0:1");
  EXPECT_EQ(found_in("bad (hands:1.3)"), "bad@0:1");
}

TEST(LearnedWords, AreFoundByComfyUisName) {
  EXPECT_EQ(found_in("embedding:easynegative, x"), "EasyNegative@0:1");
  EXPECT_EQ(found_in("(embedding:bad hands:1.2)"), "bad hands@0:1");
  EXPECT_EQ(found_in("embedding: x"), "");
}

TEST(LearnedWords, TakeSoManyTokens) {
  const ChunkedPrompt prompt = chunked("a (easynegative:1.5) cat");
  EXPECT_EQ(prompt.token_count, 5U);
  const TokenChunk& chunk = prompt.chunks[0];
  EXPECT_EQ(std::vector<int32_t>(chunk.tokens.begin(), chunk.tokens.begin() + 7),
            (std::vector<int32_t>{49406, 320, 0, 0, 0, 2368, 49407}));
  EXPECT_EQ(std::vector<float>(chunk.weights.begin(), chunk.weights.begin() + 7),
            (std::vector<float>{1, 1, 1.5F, 1.5F, 1.5F, 1, 1}));
}

TEST(LearnedWords, AreNotCut) {
  Vocabulary words;
  words.add(word("big", 40));
  std::string prompt;
  for (int i = 0; i < 50; ++i) prompt += "cat ";
  EXPECT_EQ(found_in(prompt + "big cat", words), "big@1:1");
  const auto chunks = chunked(prompt + "big cat", words).chunks;
  EXPECT_EQ(chunks[0].tokens[51], 49407);
  EXPECT_EQ(chunks[1].tokens[41], 2368);
  words.add(word("whole", 75));
  EXPECT_EQ(found_in("whole", words), "whole@0:1");
  EXPECT_EQ(found_in("cat whole cat", words), "whole@1:1");
}

TEST(LearnedWords, MoveBehindACommaWithTheirText) {
  std::string prompt;
  for (int i = 0; i < 70; ++i) prompt += "cat ";
  // Four tokens behind the comma fit; the fifth sends them all on.
  EXPECT_EQ(found_in(prompt + ", dog easynegative"), "EasyNegative@0:73");
  EXPECT_EQ(found_in(prompt + ", dog easynegative dog"), "EasyNegative@1:2");
  EXPECT_EQ(found_in("bad " + prompt + ", bad dog dog dog dog"), "bad@0:1 bad@1:1");
}

TEST(LearnedWords, TheFirstOfANameCounts) {
  Vocabulary words;
  EXPECT_TRUE(words.empty());
  words.add(word("Twice", 1));
  words.add(word("twice", 2));
  EXPECT_FALSE(words.empty());
  EXPECT_EQ(found_in("twice", words), "Twice@0:1");
}

TEST(LearnedWords, ArePartOfSqueezedPrompts) {
  EXPECT_EQ(squeezed("Bad-Hands_v2 (x)"), "badhandsv2x");
  EXPECT_NE(squeezed("a, (bad \n hands:1.2)").find(squeezed("Bad Hands")), std::string::npos);
  EXPECT_EQ(squeezed("e\xCC\x81"), squeezed("\xC3\x89"));  // composed, and in capitals
}

}  // namespace
}  // namespace safelight::text
