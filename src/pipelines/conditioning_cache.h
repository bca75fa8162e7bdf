#pragma once

#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "pipelines/latent_model.h"

namespace safelight::pipelines {

/// What text encoders gave, by model, its adapters, tokens, their weights and EncodeOptions: a
/// prompt that comes again, above all the negative one, is not encoded again. The least recently
/// used goes first when there is too much. One thread at a time.
class ConditioningCache {
 public:
  explicit ConditioningCache(uint64_t max_bytes = uint64_t{64} << 20) : max_bytes_(max_bytes) {}

  /// As model.encode(), which is asked where nothing is kept; `model_id` is the same for models
  /// with the same weights only. Errors: those of encode().
  Result<std::shared_ptr<const Conditioning>> encode(LatentModel& model,
                                                     const std::string& model_id,
                                                     const std::vector<text::TokenChunk>& chunks,
                                                     const EncodeOptions& options,
                                                     const engine::StopFlag* stop);

  uint64_t bytes() const { return bytes_; }
  int64_t hits() const { return hits_; }

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const Conditioning> value;
    uint64_t bytes = 0;
  };

  std::list<Entry> entries_;  ///< the most recently used first
  std::unordered_map<std::string, std::list<Entry>::iterator> by_key_;
  uint64_t max_bytes_, bytes_ = 0;
  int64_t hits_ = 0;
};

}  // namespace safelight::pipelines
