#include "app/prompt_count.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <vector>

#include "request/request.h"
#include "text/chunks.h"
#include "text/extra_networks.h"
#include "text/prompt_parts.h"
#include "text/prompt_schedule.h"

namespace safelight::app {
namespace {

namespace json = boost::json;

constexpr size_t kMostTexts = 200;       // shown of a schedule
constexpr size_t kMostBytes = 4U << 20;  // of all texts that are shown

/// Counts the texts of a prompt.
class Counter {
 public:
  explicit Counter(text::PromptSyntax syntax) : syntax_(syntax) {}

  json::object count(int64_t end_step, const std::string& text) {
    const text::ChunkedPrompt cut =
        text::chunk_prompt(text::ClipTokenizer::instance(), text::parse_prompt(text, syntax_));
    tokens_ = std::max(tokens_, cut.token_count);
    chunks_ = std::max(chunks_, cut.chunks.size());
    bytes_ += text.size();
    return {{"end_step", end_step},
            {"text", text},
            {"tokens", cut.token_count},
            {"chunks", cut.chunks.size()}};
  }

  bool is_full() const { return bytes_ > kMostBytes; }
  size_t tokens() const { return tokens_; }
  size_t chunks() const { return chunks_; }

 private:
  text::PromptSyntax syntax_;
  size_t tokens_ = 0, chunks_ = 0, bytes_ = 0;
};

json::array schedule_json(Counter& counter, const std::string& prompt, int64_t steps) {
  const text::ScheduleSteps counted{.steps = steps, .first_pass = {}};
  const text::PromptSchedule schedule(prompt);
  json::array texts;
  for (const int64_t end : schedule.ends(counted)) {
    if (texts.size() >= kMostTexts || counter.is_full()) break;
    texts.push_back(counter.count(end, schedule.text(end, counted)));
  }
  return texts;
}

}  // namespace

Result<json::object> count_prompt(const std::string& prompt, const CountOptions& options) {
  request::Request request;
  request.prompt = prompt;
  request.prompt_syntax = options.syntax;
  request.steps = options.steps;
  if (Status good = request::validate(request); !good) return good.error();
  const auto syntax = text::find_prompt_syntax(options.syntax);
  if (!syntax) return syntax.error();
  const std::string text = text::take_network_tags(prompt).text;
  Counter counter(*syntax);
  json::array parts;
  if (*syntax == text::PromptSyntax::kWebui) {
    for (const text::ComposedPart& part : text::split_at_and(text)) {
      if (counter.is_full()) break;
      parts.push_back(json::object{{"weight", part.weight},
                                   {"schedule", schedule_json(counter, part.text, options.steps)}});
    }
  } else {
    parts.push_back(
        json::object{{"weight", 1}, {"schedule", json::array{counter.count(options.steps, text)}}});
  }
  const size_t limit =
      std::max<size_t>(1, (counter.tokens() + text::kChunkTokens - 1) / text::kChunkTokens) *
      text::kChunkTokens;
  return json::object{{"tokens", counter.tokens()},
                      {"limit", limit},
                      {"chunks", counter.chunks()},
                      {"parts", std::move(parts)}};
}

}  // namespace safelight::app
