// Schedules and AND parts of prompts against SD WebUI's own parser
// (tools/reference/record_prompt_schedules.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "text/prompt_parts.h"
#include "text/prompt_schedule.h"

namespace safelight::text {

std::ostream& operator<<(std::ostream& out, const ScheduledText& text) {
  return out << text.end_step << " '" << text.text << "'";
}
std::ostream& operator<<(std::ostream& out, const ComposedPart& part) {
  return out << "'" << part.text << "' x " << part.weight;
}

namespace {

namespace json = boost::json;

json::value recorded() {
  return parse_json(*read_file(std::string(SAFELIGHT_SOURCE_DIR) +
                               "/tests/golden/data/text/schedules.json"))
      .value();
}

std::vector<ScheduledText> schedule(const json::value& record) {
  std::vector<ScheduledText> texts;
  for (const json::value& entry : record.as_array())
    texts.push_back({entry.at(0).as_int64(), std::string(entry.at(1).as_string())});
  return texts;
}

TEST(PromptSchedule, EqualsSdWebui) {
  const json::value record = recorded();
  size_t decided = 0;
  for (const json::value& want : record.at("schedules").as_array()) {
    const std::string_view text = want.at("text").as_string();
    ScheduleSteps steps{.steps = want.at("steps").as_int64(), .first_pass = {}};
    if (!want.at("hires").is_null()) {
      steps.first_pass = steps.steps;
      steps.steps = want.at("hires").as_int64();
    }
    const std::vector<ScheduledText> got = schedule_prompt(text, steps);
    if (const json::value* one = want.as_object().if_contains("schedule")) {
      EXPECT_EQ(got, schedule(*one)) << text << ", steps " << steps.steps;
      ++decided;
      continue;
    }
    const json::array& readings = want.at("one_of").as_array();
    EXPECT_TRUE(std::any_of(readings.begin(), readings.end(),
                            [&](const json::value& reading) { return got == schedule(reading); }))
        << text << " is none of SD WebUI's readings";
  }
  EXPECT_GE(decided, 1500U);
}

TEST(PromptParts, EqualSdWebui) {
  const json::value record = recorded();
  ASSERT_GE(record.at("and").as_array().size(), 500U);
  for (const json::value& want : record.at("and").as_array()) {
    std::vector<ComposedPart> parts;
    for (const json::value& part : want.at("parts").as_array())
      parts.push_back({std::string(part.at(0).as_string()), part.at(1).to_number<double>()});
    const std::string_view text = want.at("text").as_string();
    EXPECT_EQ(split_at_and(text), parts) << text;
  }
}

}  // namespace
}  // namespace safelight::text
