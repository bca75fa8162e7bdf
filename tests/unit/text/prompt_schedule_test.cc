#include "text/prompt_schedule.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "text/prompt.h"
#include "text/prompt_parts.h"

namespace safelight::text {
namespace {

using Schedule = std::vector<std::pair<int64_t, std::string>>;

Schedule schedule(std::string_view prompt,
                  const ScheduleSteps& steps = {.steps = 10, .first_pass = {}}) {
  Schedule result;
  for (const ScheduledText& entry : schedule_prompt(prompt, steps))
    result.emplace_back(entry.end_step, entry.text);
  return result;
}

TEST(PromptSchedule, ReadsTheDocumentedForms) {
  EXPECT_EQ(schedule("a [b:c:3]"), (Schedule{{3, "a b"}, {10, "a c"}}));
  EXPECT_EQ(schedule("a [b:0.5] c"), (Schedule{{5, "a  c"}, {10, "a b c"}}));
  EXPECT_EQ(schedule("[a::0.25]"), (Schedule{{2, "a"}, {10, ""}}));
  EXPECT_EQ(schedule("a[b:[c:d:2]:1]e"), (Schedule{{1, "abe"}, {2, "ace"}, {10, "ade"}}));
  EXPECT_EQ(schedule("[a|b]", {.steps = 3, .first_pass = {}}),
            (Schedule{{1, "a"}, {2, "b"}, {3, "a"}}));
  EXPECT_EQ(schedule("(a:1.2) [b]"), (Schedule{{10, "(a:1.2) [b]"}}));
  EXPECT_EQ(schedule("a | b [c:d:3]"), (Schedule{{10, "a | b [c:d:3]"}}));
}

TEST(PromptSchedule, CountsOnInASecondPass) {
  const ScheduleSteps hires{.steps = 10, .first_pass = 20};
  EXPECT_EQ(schedule("[a:b:0.5]", hires), (Schedule{{10, "b"}}));
  EXPECT_EQ(schedule("[a:b:1.5]", hires), (Schedule{{5, "a"}, {10, "b"}}));
  EXPECT_EQ(schedule("[a:b:24]", hires), (Schedule{{4, "a"}, {10, "b"}}));
}

TEST(PromptSchedule, EvaluationsReadTheEntryWhoseEndTheyHaveNotPassed) {
  const std::vector<int64_t> ends{3, 10};
  EXPECT_EQ(schedule_entry(ends, 0), 0U);
  EXPECT_EQ(schedule_entry(ends, 3), 0U);
  EXPECT_EQ(schedule_entry(ends, 4), 1U);
  EXPECT_EQ(schedule_entry(ends, 10), 1U);
  EXPECT_EQ(schedule_entry(ends, 11), 0U);
}

TEST(PromptParts, SplitAtAnd) {
  using Parts = std::vector<ComposedPart>;
  EXPECT_EQ(split_at_and("a AND b :1.2 AND c:-0.5"), (Parts{{"a", 1}, {" b", 1.2}, {" c", -0.5}}));
  EXPECT_EQ(split_at_and("SANDY AND_b"), (Parts{{"SANDY AND_b", 1}}));
  EXPECT_EQ(split_at_and("a:" + std::string(400, '9')), (Parts{{"a", kMaxPromptWeight}}));
}

/// How many random prompts: 100,000 with SAFELIGHT_FULL set, as ./test.sh --full does.
size_t random_prompts() {
  constexpr size_t kFew = 5000, kAll = 100'000;
  return std::getenv("SAFELIGHT_FULL") != nullptr ? kAll : kFew;
}

TEST(PromptSchedule, ReadsAnyPrompt) {
  constexpr const char* kPieces[] = {"a",    " ",  "[",       "]",     "(",     ")",       ":",
                                     "|",    "\\", ":3]",     ":.5]",  "AND",   " AND b ", "\n",
                                     "\xFF", "é",  "[a:b:2]", "[c|d]", "BREAK", ":1.2)",   "{"};
  std::mt19937 random(5);
  for (size_t i = 0; i < random_prompts(); ++i) {
    std::string prompt;
    for (size_t k = random() % 30; k > 0; --k) prompt += kPieces[random() % std::size(kPieces)];
    const auto texts = schedule_prompt(prompt, {.steps = 7, .first_pass = {}});
    ASSERT_FALSE(texts.empty());
    ASSERT_EQ(texts.back().end_step, 7) << prompt;
    for (const ScheduledText& text : texts) ASSERT_LE(text.text.size(), prompt.size()) << prompt;
    ASSERT_FALSE(split_at_and(prompt).empty());
    ASSERT_FALSE(parse_prompt(texts.front().text).empty());
  }
}

TEST(PromptSchedule, StaysLinear) {
  const auto begin = std::chrono::steady_clock::now();
  for (const char* piece :
       {"[a:", "[a", "[", "]", "([", "])", ":3]", "[a:b:3]", "[a|b]", "|", "a|", "[[[a:1]:2]:3]",
        "[a:b]", "(a:b:c)", "\\[", " AND ", "AND", "a:1 AND "}) {
    std::string text;
    while (text.size() < 500'000) text += piece;
    for (const std::string_view end : {"", "]", ")", "|", "\\"}) {
      const PromptSchedule schedule(text + std::string(end));
      EXPECT_FALSE(schedule.text(1, {.steps = 10, .first_pass = {}}).empty() && *piece != '[');
    }
    EXPECT_FALSE(split_at_and(text).empty());
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

TEST(PromptSchedule, DeepBracketsAreText) {
  const std::string deep = std::string(300, '[') + "a:1" + std::string(300, ']');
  EXPECT_EQ(schedule(deep), (Schedule{{10, deep}}));
}

}  // namespace
}  // namespace safelight::text
