#include "pipelines/conditioning_cache.h"

#include <fmt/format.h>

namespace safelight::pipelines {
namespace {

/// All that the result depends on, byte for byte.
std::string key_of(const std::string& model_id, const std::vector<text::TokenChunk>& chunks,
                   const EncodeOptions& options) {
  const PictureFacts& facts = options.facts;
  std::string key =
      fmt::format("{}\n{} {} {} {} {} {} {} {} {} {}\n", model_id, options.clip_skip,
                  static_cast<int>(options.emphasis), options.negative, facts.original_width,
                  facts.original_height, facts.crop_left, facts.crop_top, facts.target_width,
                  facts.target_height, facts.aesthetic_score);
  for (const text::TokenChunk& chunk : chunks) {
    key.append(reinterpret_cast<const char*>(chunk.tokens.data()), sizeof chunk.tokens);
    key.append(reinterpret_cast<const char*>(chunk.weights.data()), sizeof chunk.weights);
    for (const text::LearnedVectors& learned : chunk.learned)
      key += fmt::format("{} {}\n", learned.position, learned.word->hash);
  }
  return key;
}

}  // namespace

Result<std::shared_ptr<const Conditioning>> ConditioningCache::encode(
    LatentModel& model, const std::string& model_id, const std::vector<text::TokenChunk>& chunks,
    const EncodeOptions& options, const engine::StopFlag* stop) {
  std::string key = key_of(model_id + ' ' + model.text_identity(), chunks, options);
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    entries_.splice(entries_.begin(), entries_, found->second);
    ++hits_;
    return entries_.front().value;
  }
  auto encoded = model.encode(chunks, options, stop);
  if (!encoded) return encoded.error();
  const auto value = std::make_shared<const Conditioning>(std::move(*encoded));
  const uint64_t bytes =
      (value->context.data.size() + value->vector.data.size()) * sizeof(float) + 2 * key.size();
  bytes_ += bytes;
  entries_.push_front({key, value, bytes});
  by_key_[std::move(key)] = entries_.begin();
  while (bytes_ > max_bytes_) {
    bytes_ -= entries_.back().bytes;
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }
  return value;
}

}  // namespace safelight::pipelines
