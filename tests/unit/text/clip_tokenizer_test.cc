#include "text/clip_tokenizer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace safelight::text {
namespace {

using Tokens = std::vector<int32_t>;

Tokens encode(std::string_view text) { return ClipTokenizer::instance().encode(text); }

TEST(ClipTokenizer, KnowsClipsVocabulary) {
  // From CLIP's published vocab.json.
  EXPECT_EQ(encode("a photo of a cat"), (Tokens{320, 1125, 539, 320, 2368}));
  EXPECT_EQ(encode(","), Tokens{267});
  EXPECT_EQ(encode("!"), Tokens{256});
  EXPECT_EQ(encode(""), Tokens{});
  EXPECT_EQ(encode(" \t\n\u3000"), Tokens{});
}

TEST(ClipTokenizer, CutsWords) {
  EXPECT_EQ(encode("It'S"), encode("it 's"));
  EXPECT_EQ(encode("2024"), encode("2 0 2 4"));
  EXPECT_EQ(encode("cat!?dog"), encode("cat !? dog"));
  EXPECT_NE(encode("catdog"), encode("cat dog"));
  EXPECT_EQ(encode("e\u0301tude"), encode("\u00C9TUDE")) << "composed and lowered";
}

TEST(ClipTokenizer, TakesMarksAsMarks) {
  EXPECT_EQ(encode("a<|endoftext|>cat<|startoftext|>"), (Tokens{320, 49407, 2368, 49406}));
  EXPECT_EQ(encode("<<|endoftext|>|>"), (Tokens{283, 49407, 91, 285}));
  EXPECT_EQ(encode("<|ENDOFTEXT|>"), encode("<| endoftext |>"));
  EXPECT_EQ(encode("<|endoftext|"), encode("<| endoftext |"));
}

TEST(ClipTokenizer, ReadsBackWhatItWrote) {
  const ClipTokenizer& tokenizer = ClipTokenizer::instance();
  EXPECT_EQ(tokenizer.decode(encode("A photo of  the Cat, it's 42!")),
            "a photo of the cat , it 's 4 2 !");
  EXPECT_EQ(tokenizer.decode({49406, 320, 49407, 2368, -1, 70000}), "a cat");
  EXPECT_EQ(tokenizer.decode({}), "");
  EXPECT_EQ(tokenizer.decode({172}), "\uFFFD") << "one byte of a longer character";
}

TEST(ClipTokenizer, IsOneForAllThreads) {
  const Tokens want = encode("a photo of a cat");
  std::vector<std::thread> threads;
  std::atomic<int> equal = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { equal += encode("a photo of a cat") == want; });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(equal, 4);
}

TEST(ClipTokenizer, LongTextsAreFast) {
  const auto begin = std::chrono::steady_clock::now();
  for (const char* piece : {"a", "ab", "!", "1", "cat ", "<|endoftext|>", "<|", "'s", "\u0301",
                            "\u0323\u0301", "\U0001F600", "\xFF"}) {
    std::string text;
    while (text.size() < 200000) text += piece;
    EXPECT_FALSE(encode(text).empty()) << piece;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

}  // namespace
}  // namespace safelight::text
