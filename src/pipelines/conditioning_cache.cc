#include "pipelines/conditioning_cache.h"

#include <fmt/format.h>

namespace safelight::pipelines {
namespace {

/// All that the result depends on, byte for byte.
std::string key_of(const std::string& model_id, const std::vector<text::TokenChunk>& chunks,
                   int64_t clip_skip, text::Emphasis emphasis) {
  std::string key = fmt::format("{}\n{} {}\n", model_id, clip_skip, static_cast<int>(emphasis));
  for (const text::TokenChunk& chunk : chunks) {
    key.append(reinterpret_cast<const char*>(chunk.tokens.data()), sizeof chunk.tokens);
    key.append(reinterpret_cast<const char*>(chunk.weights.data()), sizeof chunk.weights);
  }
  return key;
}

}  // namespace

Result<std::shared_ptr<const Conditioning>> ConditioningCache::encode(
    LatentModel& model, const std::string& model_id, const std::vector<text::TokenChunk>& chunks,
    int64_t clip_skip, text::Emphasis emphasis, const engine::StopFlag* stop) {
  std::string key = key_of(model_id, chunks, clip_skip, emphasis);
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    entries_.splice(entries_.begin(), entries_, found->second);
    ++hits_;
    return entries_.front().value;
  }
  auto encoded = model.encode(chunks, clip_skip, emphasis, stop);
  if (!encoded) return encoded.error();
  const auto value = std::make_shared<const Conditioning>(std::move(*encoded));
  const uint64_t bytes = value->data.size() * sizeof(float) + 2 * key.size();
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
