#include <gtest/gtest.h>

#include <chrono>

#include "text/prompt.h"

namespace safelight::text {
namespace {

using Parts = std::vector<std::pair<std::string, double>>;

Parts parts(std::string_view prompt, PromptSyntax syntax = PromptSyntax::kComfyui) {
  Parts result;
  for (const PromptPart& part : parse_prompt(prompt, syntax))
    result.emplace_back(part.text, part.weight);
  return result;
}

TEST(ComfyuiPrompt, ReadsRoundBracketsAlone) {
  EXPECT_EQ(parts("a (b:1.2) [c]"), (Parts{{"a ", 1}, {"b", 1.2}, {" [c]", 1}}));
  EXPECT_EQ(parts("((a:0.5) b)"), (Parts{{"a", 0.5}, {" b", 1.1}}));
  EXPECT_EQ(parts("\\(a\\) (b\\):2)"), (Parts{{"(a) ", 1}, {"b)", 2}}));
  EXPECT_EQ(parts("(a"), (Parts{{"(a", 1}}));
  EXPECT_EQ(parts(""), (Parts{{"", 1}}));
  EXPECT_EQ(parts("(a:1e9)"), (Parts{{"a", kMaxPromptWeight}}));
}

TEST(ComfyuiPrompt, FixedIsText) {
  EXPECT_EQ(parts("(a:1.2) [b] \\(", PromptSyntax::kFixed), (Parts{{"(a:1.2) [b] \\(", 1}}));
}

TEST(ComfyuiPrompt, StaysInTime) {
  const auto begin = std::chrono::steady_clock::now();
  for (const char* piece : {"(", ")", "(a:1)", "((", "\\(", ":", "(:"}) {
    std::string text;
    while (text.size() < 300'000) text += piece;
    EXPECT_FALSE(parts(text).empty());
    EXPECT_FALSE(parts(text + std::string(text.size(), ')')).empty());
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

}  // namespace
}  // namespace safelight::text
