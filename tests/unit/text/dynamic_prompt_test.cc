#include "text/dynamic_prompt.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <random>

#include "base/file.h"
#include "support/temporary_folder.h"

namespace safelight::text {
namespace {

class DynamicPromptTest : public ::testing::Test {
 protected:
  Result<std::string> expand(std::string_view prompt, uint64_t seed = 1, bool keeps = false) {
    WildcardFiles files({folder_.path()});
    return expand_prompt(prompt, {.seed = seed, .stream = 0, .keeps_unknown = keeps}, files);
  }
  std::string error(std::string_view prompt) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      const auto expanded = expand(prompt, seed);
      if (!expanded) return expanded.error().message;
    }
    return "nothing failed";
  }

  void write(const std::string& name, std::string_view text) {
    ASSERT_TRUE(write_file_atomically(folder_.path() / name, text).ok());
  }

  test::TemporaryFolder folder_;
};

TEST_F(DynamicPromptTest, IsDecidedByTheSeed) {
  const std::string prompt = "{a|b|c|d} {e|f|g|h} {2$$i|j|k}";
  EXPECT_EQ(*expand(prompt, 5), *expand(prompt, 5));
  std::map<std::string, int> seen;
  for (uint64_t seed = 0; seed < 300; ++seed) ++seen[*expand(prompt, seed)];
  EXPECT_GT(seen.size(), 60U);
  WildcardFiles files({});
  EXPECT_NE(*expand_prompt("{1|2|3|4|5|6|7|8} {1|2|3|4|5|6|7|8} {1|2|3|4|5|6|7|8}",
                           {.seed = 3, .stream = 0}, files),
            *expand_prompt("{1|2|3|4|5|6|7|8} {1|2|3|4|5|6|7|8} {1|2|3|4|5|6|7|8}",
                           {.seed = 3, .stream = 1}, files));
}

TEST_F(DynamicPromptTest, WeighsOptions) {
  std::map<std::string, int> seen;
  for (uint64_t seed = 0; seed < 4000; ++seed) ++seen[*expand("{3::a|b|0::c}", seed)];
  EXPECT_NEAR(seen["a"], 3000, 150);
  EXPECT_NEAR(seen["b"], 1000, 150);
  EXPECT_EQ(seen.count("c"), 0U);
}

TEST_F(DynamicPromptTest, KeepsWhatIsNoChoice) {
  for (const char* text : {"plain (a:1.2) [b|c] [d:e:3]", "\\{a|b\\}", "a} {b", "\\_\\_x\\_\\_",
                           "____", "__", "a__b", "__not a name:__", "{", "}{"}) {
    EXPECT_EQ(*expand(text), text);
    EXPECT_FALSE(is_dynamic(text)) << text;
  }
  EXPECT_TRUE(is_dynamic("{a}"));
  EXPECT_TRUE(is_dynamic("x __y__"));
  EXPECT_EQ(*expand("{[a|b]}"), "[a|b]");
}

TEST_F(DynamicPromptTest, ReadsFiles) {
  write("color.txt", "\xEF\xBB\xBFred # the first\r\n# a comment\r\n\r\n  red  \r\n0::blue\r\n");
  write("deep/er/Animal.TXT", "__color__ cat\n");
  for (uint64_t seed = 0; seed < 20; ++seed) {
    EXPECT_EQ(*expand("a __color__ b", seed), "a red b");
    EXPECT_EQ(*expand("__deep/er/animal__", seed), "red cat");
    EXPECT_EQ(*expand("__animal__", seed), "red cat");
    EXPECT_EQ(*expand("__deep/*__", seed), "red cat");
  }
}

TEST_F(DynamicPromptTest, UnknownWildcardsNameTheNearest) {
  write("color.txt", "red\n");
  EXPECT_EQ(error("__colour__"),
            "there is no file colour.txt in the folders of wildcards for __colour__ (did you mean "
            "__color__?); \\_\\_ stands for two underscores");
  EXPECT_EQ(*expand("a __colour__", 1, true), "a __colour__");
}

TEST_F(DynamicPromptTest, RefusesCirclesAndGrowth) {
  write("a.txt", "x __b__\n");
  write("b.txt", "y __a__\n");
  EXPECT_EQ(error("__a__"),
            "wildcards go round in a circle: __a__ -> __b__ -> __a__; take one of them out of the "
            "other's file");
  write("n0.txt", std::string(100, 'x') + "\n");
  for (int i = 1; i < 9; ++i) {
    std::string line;
    for (int k = 0; k < 10; ++k) line += "__n" + std::to_string(i - 1) + "__ ";
    write("n" + std::to_string(i) + ".txt", line + "\n");
  }
  EXPECT_NE(error("__n8__").find("the prompt with its wildcards"), std::string::npos);
  EXPECT_NE(error(std::string(100, '{') + "a" + std::string(100, '}')).find("64 deep"),
            std::string::npos);
  EXPECT_NE(error("${x=a} ${x}").find("variable"), std::string::npos);
  write("empty.txt", "# nothing\n");
  EXPECT_NE(error("__empty__").find("has no values"), std::string::npos);
  write("latin.txt", "\xE9\n");
  EXPECT_NE(error("__latin__").find("UTF-8"), std::string::npos);
}

TEST_F(DynamicPromptTest, StaysOutOfOtherFolders) {
  write("in/a.txt", "inside\n");
  write("secret.txt", "outside\n");
  WildcardFiles files({folder_.path() / "in"});
  for (const char* name : {"../secret", "*/secret", "../*", "/etc/hostname"}) {
    const auto values = files.values(name);
    ASSERT_TRUE(values.ok());
    EXPECT_TRUE((*values)->empty()) << name;
  }
}

TEST(Glob, Matches) {
  EXPECT_TRUE(matches_glob("a*c", "abbc"));
  EXPECT_TRUE(matches_glob("*", ""));
  EXPECT_TRUE(matches_glob("A?c*", "abc/d"));
  EXPECT_FALSE(matches_glob("a?c", "ac"));
  EXPECT_FALSE(matches_glob("a*b", "abc"));
  EXPECT_TRUE(matches_glob("*a*b*", "xaxxbx"));
}

TEST_F(DynamicPromptTest, ExpandsAnyPromptInTime) {
  constexpr const char* kPieces[] = {
      "a",     " ",  "{",   "{",  "}", "}", "|", "|",     "__",   "__a__", "2$$",
      "1-2$$", "$$", "2::", "\\", "[", "]", "_", "{a|b}", "\xFF", "~"};
  std::mt19937 random(5);
  for (size_t i = 0; i < 5000; ++i) {
    std::string prompt;
    for (size_t k = random() % 30; k > 0; --k) prompt += kPieces[random() % std::size(kPieces)];
    const auto expanded = expand(prompt, i, true);
    if (expanded) {
      EXPECT_LE(expanded->size(), 4 * prompt.size() + 100) << prompt;
    }
    if (!is_dynamic(prompt)) {
      EXPECT_EQ(*expanded, prompt);
    }
  }
  const auto begin = std::chrono::steady_clock::now();
  for (const char* piece : {"{a|", "{", "}", "{}", "__", "_", "__a", "{a}", "[", "{[", "\\", "|",
                            "{2$$a|b}", "{a|b}"}) {
    std::string text;
    while (text.size() < 300'000) text += piece;
    const auto expanded = expand(text, 1, true);
    if (!is_dynamic(text)) {
      EXPECT_EQ(*expanded, text);
    }
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

}  // namespace
}  // namespace safelight::text
