#include "text/prompt.h"

#include <gtest/gtest.h>

#include <chrono>

namespace safelight::text {
namespace {

using Parts = std::vector<std::pair<std::string, double>>;

Parts parts(std::string_view prompt) {
  Parts result;
  for (const PromptPart& part : parse_prompt(prompt)) {
    result.emplace_back(part.is_break ? "<break>" : part.text, part.weight);
  }
  return result;
}

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
  EXPECT_EQ(parts("(a:.)"), (Parts{{"a:.", 1.1}}));
  EXPECT_EQ(parts("(\xFF\xE2\x82:2)"), (Parts{{"\uFFFD\uFFFD", 2}}));
}

TEST(Prompt, FindsBreaks) {
  EXPECT_EQ(parts("a  BREAK\n b"), (Parts{{"a", 1}, {"<break>", 1}, {"b", 1}}));
  EXPECT_EQ(parts("BREAKFAST aBREAK éBREAK"), (Parts{{"BREAKFAST aBREAK éBREAK", 1}}));
  EXPECT_EQ(parts("一，BREAK，二"), (Parts{{"一，", 1}, {"<break>", 1}, {"，二", 1}}));
}

TEST(Prompt, FindsBreaksInsideBrackets) {
  EXPECT_EQ(parts("(a BREAK b:1.5)"), (Parts{{"a", 1.5}, {"<break>", 1}, {"b", 1.5}}));
  EXPECT_EQ(parts("[a BREAK (b:2)"),
            (Parts{{"a", 1 / 1.1}, {"<break>", 1}, {"", 1 / 1.1}, {"b", 2 / 1.1}}));
}

std::string repeated(std::string_view text, size_t times) {
  std::string result;
  for (size_t i = 0; i < times; ++i) result += text;
  return result;
}

TEST(Prompt, LimitsBracketsAndWeights) {
  const std::string deep = repeated("(", 300) + "a" + repeated(":1)", 300);
  EXPECT_EQ(parts(deep), (Parts{{repeated("(", 44) + "a" + repeated(":1)", 44), 1}}));
  EXPECT_EQ(parts("((a:100000):100000)"), (Parts{{"a", kMaxPromptWeight}}));
  EXPECT_EQ(parts("((a:-100000):100000)"), (Parts{{"a", -kMaxPromptWeight}}));
  EXPECT_EQ(parts("(a:" + repeated("9", 400) + ")"), (Parts{{"a:" + repeated("9", 400), 1.1}}));
}

TEST(Prompt, StaysLinear) {
  const auto begin = std::chrono::steady_clock::now();
  for (const char* piece : {"(a", "[a", "(", ")", "(a)", ":1.1)", ": ", ":1", "(a:1.1)", "BREAK ",
                            "BREAKa ", "\\", "a, ", " ", "\u3000", "\xFF"}) {
    std::string text = repeated("(a[", 256);
    while (text.size() < 500000) text += piece;
    EXPECT_FALSE(parse_prompt(text).empty());
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

}  // namespace
}  // namespace safelight::text
