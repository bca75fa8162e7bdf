// Fuzzes the prompt language: weights, schedules, AND, options and wildcards, files of styles, and
// the cutting into chunks.
#include "text/prompt.h"

#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "text/chunks.h"
#include "text/dynamic_prompt.h"
#include "text/prompt_parts.h"
#include "text/prompt_schedule.h"
#include "text/styles.h"

namespace {

using namespace safelight::text;

void check(bool holds) {
  if (!holds) std::abort();
}

void check_weights(const std::vector<PromptPart>& parts) {
  check(!parts.empty());
  for (const PromptPart& part : parts) check(std::abs(part.weight) <= kMaxPromptWeight);
}

void check_schedule(std::string_view prompt) {
  const ScheduleSteps steps{.steps = 5, .first_pass = {}};
  const PromptSchedule schedule(prompt);
  const std::vector<int64_t> ends = schedule.ends(steps);
  check(!ends.empty() && ends.back() == 5);
  for (const int64_t end : ends) check(schedule.text(end, steps).size() <= prompt.size());
}

void check_parts(std::string_view prompt) {
  const std::vector<ComposedPart> parts = split_at_and(prompt);
  check(!parts.empty());
  for (const ComposedPart& part : parts) {
    check(std::abs(part.weight) <= kMaxPromptWeight);
    check_schedule(part.text);
  }
}

void check_choices(std::string_view prompt) {
  WildcardFiles files({});
  const auto chosen =
      expand_prompt(prompt, {.seed = prompt.size(), .stream = 0, .keeps_unknown = true}, files);
  if (!is_dynamic(prompt)) check(chosen.ok() && *chosen == prompt);
  read_wildcard_lines(prompt);
}

void check_styles(std::string_view text) {
  const auto styles = read_styles_csv(text, "styles.csv");
  if (styles.ok()) {
    for (const Style& style : *styles)
      if (style.prompt.size() < 1000) merge_style(style.prompt, "a cat");
  }
  const auto json = read_styles_json(text, "style.json", "");
  check(json.ok() || !json.error().message.empty());
}

void check_chunks(const std::vector<PromptPart>& parts) {
  const ChunkedPrompt prompt = chunk_prompt(ClipTokenizer::instance(), parts);
  check(!prompt.chunks.empty());
  for (const TokenChunk& chunk : prompt.chunks) {
    check(chunk.tokens.front() == ClipTokenizer::kBegin &&
          chunk.tokens.back() == ClipTokenizer::kEnd);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view prompt(reinterpret_cast<const char*>(data), size);
  const std::vector<PromptPart> parts = parse_prompt(prompt);
  check_weights(parts);
  check_weights(parse_comfyui(prompt));
  check_parts(prompt);
  check_choices(prompt);
  check_styles(prompt);
  check_chunks(parts);
  return 0;
}
