#include "pipelines/prompt_conditioning.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "text/prompt_parts.h"
#include "text/prompt_schedule.h"

namespace safelight::pipelines {
namespace {

/// Bounds the memory of the conditioning: 7500 tokens are far more than any model heeds.
constexpr size_t kMaxChunks = 100;
constexpr size_t kMaxEncoded = 500;  // chunks of all texts that a prompt becomes

EncodeOptions encode_options(const request::Request& request, text::Emphasis emphasis) {
  const auto or_own = [](int64_t told, int64_t own) { return told > 0 ? told : own; };
  return {.clip_skip = request.clip_skip,
          .emphasis = emphasis,
          .facts = {.original_width = or_own(request.original_width, request.width),
                    .original_height = or_own(request.original_height, request.height),
                    .crop_left = request.crop_left,
                    .crop_top = request.crop_top,
                    .target_width = or_own(request.target_width, request.width),
                    .target_height = or_own(request.target_height, request.height),
                    .aesthetic_score = request.aesthetic_score}};
}

/// The texts that one evaluation reads: those of the prompt's parts, then the negative prompt's.
using StepTexts = std::vector<std::string>;

/// The texts of a request's prompts through the steps.
class PromptTexts {
 public:
  PromptTexts(const request::Request& request, text::PromptSyntax syntax,
              const text::ScheduleSteps& steps)
      : steps_(steps) {
    if (syntax != text::PromptSyntax::kWebui) {
      constant_ = {request.prompt, request.negative_prompt};
      weights_ = {1};
      return;
    }
    for (const text::ComposedPart& part : text::split_at_and(request.prompt)) {
      add(part.text);
      weights_.push_back(part.weight);
    }
    add(request.negative_prompt);
  }

  int64_t steps() const { return steps_.steps; }
  const std::vector<double>& weights() const { return weights_; }

  StepTexts at(int64_t evaluation) const {
    StepTexts texts = constant_;
    for (const Schedule& schedule : schedules_) {
      const int64_t end = schedule.ends[text::schedule_entry(schedule.ends, evaluation)];
      texts.push_back(schedule.texts.text(end, steps_));
    }
    return texts;
  }

 private:
  struct Schedule {
    text::PromptSchedule texts;
    std::vector<int64_t> ends;
  };

  void add(const std::string& prompt) {
    text::PromptSchedule schedule(prompt);
    std::vector<int64_t> ends = schedule.ends(steps_);
    schedules_.push_back({std::move(schedule), std::move(ends)});
  }

  text::ScheduleSteps steps_;
  StepTexts constant_;
  std::vector<Schedule> schedules_;
  std::vector<double> weights_;
};

/// Encodes the texts of steps, each once for a number of chunks.
class TextEncodings {
 public:
  TextEncodings(const PromptEncoder& encoder, const EncodeOptions& options,
                text::PromptSyntax syntax, double negative_score)
      : encoder_(encoder), options_(options), syntax_(syntax), negative_score_(negative_score) {}

  Result<StepConditioning> encode(const StepTexts& texts, const std::vector<double>& weights) {
    std::vector<std::vector<text::TokenChunk>> chunks;
    size_t most = 0;
    for (const std::string& text : texts) {
      chunks.push_back(chunks_of(text));
      most = std::max(most, chunks.back().size());
    }
    if (most > kMaxChunks) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("a prompt of {} chunks of {} tokens; at most {} chunks are taken",
                               most, text::kChunkTokens, kMaxChunks)};
    }
    StepConditioning step;
    for (size_t i = 0; i < texts.size(); ++i) {
      const bool negative = i + 1 == texts.size();
      chunks[i].resize(most);
      auto encoded = encode({texts[i], most, negative}, chunks[i]);
      if (!encoded) return encoded.error();
      if (negative) {
        step.negative = std::move(*encoded);
      } else {
        step.positive.push_back({std::move(*encoded), weights[i]});
      }
    }
    return step;
  }

 private:
  using Key = std::tuple<std::string, size_t, bool>;

  std::vector<text::TokenChunk> chunks_of(const std::string& text) const {
    // ComfyUI moves no words behind a comma to the next chunk.
    const text::ChunkOptions how = syntax_ == text::PromptSyntax::kComfyui
                                       ? text::ChunkOptions{.comma_backtrack = 0}
                                       : text::ChunkOptions{};
    return text::chunk_prompt(text::ClipTokenizer::instance(), text::parse_prompt(text, syntax_),
                              encoder_.words, how)
        .chunks;
  }

  Result<std::shared_ptr<const Conditioning>> encode(const Key& key,
                                                     const std::vector<text::TokenChunk>& chunks) {
    if (const auto known = known_.find(key); known != known_.end()) return known->second;
    kept_ += chunks.size();
    if (kept_ > kMaxEncoded) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("the prompt changes too often for its length: its texts have more "
                               "than {} chunks of {} tokens in all; make [a|b] and [a:b:0.5] fewer",
                               kMaxEncoded, text::kChunkTokens)};
    }
    EncodeOptions options = options_;
    options.negative = std::get<bool>(key);
    if (options.negative) options.facts.aesthetic_score = negative_score_;
    auto encoded = encoder_(chunks, options);
    if (!encoded) return encoded.error();
    return known_[key] = std::move(*encoded);
  }

  const PromptEncoder& encoder_;
  EncodeOptions options_;
  text::PromptSyntax syntax_;
  double negative_score_;  ///< of beauty, that the refiner is told with the negative prompt
  std::map<Key, std::shared_ptr<const Conditioning>> known_;
  size_t kept_ = 0;  ///< chunks
};

}  // namespace

Result<std::shared_ptr<const Conditioning>> PromptEncoder::operator()(
    const std::vector<text::TokenChunk>& chunks, const EncodeOptions& options) const {
  if (cache != nullptr) return cache->encode(model, model_id, chunks, options, stop);
  auto encoded = model.encode(chunks, options, stop);
  if (!encoded) return encoded.error();
  return std::make_shared<const Conditioning>(std::move(*encoded));
}

Result<PromptConditioning> PromptConditioning::encode(const PromptEncoder& encoder,
                                                      const request::Request& request,
                                                      int64_t evaluations) {
  const auto emphasis = text::find_emphasis(request.emphasis);
  if (!emphasis) return emphasis.error();
  const auto syntax = text::find_prompt_syntax(request.prompt_syntax);
  if (!syntax) return syntax.error();
  const PromptTexts texts(request, *syntax,
                          {.steps = request.steps * evaluations, .first_pass = {}});
  TextEncodings encodings(encoder, encode_options(request, *emphasis), *syntax,
                          request.negative_aesthetic_score);
  std::map<StepTexts, size_t> places;
  PromptConditioning result;
  for (int64_t i = 0; i <= texts.steps(); ++i) {
    StepTexts step = texts.at(i);
    const auto known = places.find(step);
    if (known != places.end()) {
      result.by_evaluation_.push_back(known->second);
      continue;
    }
    auto encoded = encodings.encode(step, texts.weights());
    if (!encoded) return encoded.error();
    result.by_evaluation_.push_back(result.distinct_.size());
    places.emplace(std::move(step), result.distinct_.size());
    result.distinct_.push_back(std::move(*encoded));
  }
  return result;
}

const StepConditioning& PromptConditioning::at(int64_t evaluation) const {
  const auto place = static_cast<size_t>(evaluation);
  return distinct_[by_evaluation_[place < by_evaluation_.size() ? place : 0]];
}

}  // namespace safelight::pipelines
