#include "pipelines/prompt_conditioning.h"

#include <fmt/format.h>

namespace safelight::pipelines {
namespace {

/// Bounds the memory of the conditioning: 7500 tokens are far more than any model heeds.
constexpr size_t kMaxChunks = 100;

EncodeOptions encode_options(const request::Request& request, text::Emphasis emphasis) {
  return {.clip_skip = request.clip_skip,
          .emphasis = emphasis,
          .facts = {.original_width = request.width,
                    .original_height = request.height,
                    .target_width = request.width,
                    .target_height = request.height}};
}

}  // namespace

Result<std::shared_ptr<const Conditioning>> PromptEncoder::operator()(
    const std::vector<text::TokenChunk>& chunks, const EncodeOptions& options) const {
  if (cache != nullptr) return cache->encode(model, model_id, chunks, options, stop);
  auto encoded = model.encode(chunks, options, stop);
  if (!encoded) return encoded.error();
  return std::make_shared<const Conditioning>(std::move(*encoded));
}

Result<PromptConditioning> PromptConditioning::encode(const PromptEncoder& encoder,
                                                      const request::Request& request) {
  const auto& tokenizer = text::ClipTokenizer::instance();
  const auto chunks = [&](const std::string& text) {
    return text::chunk_prompt(tokenizer, text::parse_prompt(text), encoder.words).chunks;
  };
  auto prompt = chunks(request.prompt), negative = chunks(request.negative_prompt);
  text::pad_to_same_count(prompt, negative);
  if (prompt.size() > kMaxChunks) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("a prompt of {} chunks of {} tokens; at most {} chunks are taken",
                             prompt.size(), text::kChunkTokens, kMaxChunks)};
  }
  const auto emphasis = text::find_emphasis(request.emphasis);
  if (!emphasis) return emphasis.error();
  EncodeOptions options = encode_options(request, *emphasis);
  auto positive = encoder(prompt, options);
  if (!positive) return positive.error();
  options.negative = true;
  auto unwanted = encoder(negative, options);
  if (!unwanted) return unwanted.error();
  PromptConditioning result;
  result.whole_run_.positive = {{std::move(*positive), 1}};
  result.whole_run_.negative = std::move(*unwanted);
  return result;
}

}  // namespace safelight::pipelines
