#pragma once

#include <memory>
#include <string>
#include <vector>

#include "pipelines/conditioning_cache.h"
#include "pipelines/latent_model.h"
#include "request/request.h"

namespace safelight::pipelines {

/// Where a prompt is encoded.
struct PromptEncoder {
  LatentModel& model;
  ConditioningCache* cache = nullptr;  ///< null for none
  std::string model_id;                ///< for the cache
  const text::Vocabulary& words;       ///< that the model was taught
  const engine::StopFlag* stop = nullptr;

  Result<std::shared_ptr<const Conditioning>> operator()(
      const std::vector<text::TokenChunk>& chunks, const EncodeOptions& options) const;
};

/// A part of a prompt, and how much it counts.
struct WeightedConditioning {
  std::shared_ptr<const Conditioning> conditioning;
  double weight = 1;
};

/// What a picture is drawn from in one step.
struct StepConditioning {
  std::vector<WeightedConditioning> positive;  ///< at least one
  std::shared_ptr<const Conditioning> negative;
};

/// The encoded prompts of a run: schedules followed, and cut at AND. Those that are read together
/// have the same number of tokens.
class PromptConditioning {
 public:
  /// `evaluations` of the model in a step of the sampler: as SD WebUI counts, the steps of a
  /// schedule are evaluations then. Errors: kInvalidArgument for a prompt of too many tokens, or
  /// with too many texts; those of LatentModel::encode.
  static Result<PromptConditioning> encode(const PromptEncoder& encoder,
                                           const request::Request& request,
                                           int64_t evaluations = 1);

  /// What the evaluation of that number, counted from 0, reads. Those that a sampler makes beyond
  /// its steps read what the first one reads, as in SD WebUI.
  const StepConditioning& at(int64_t evaluation) const;

 private:
  std::vector<StepConditioning> distinct_;
  std::vector<size_t> by_evaluation_;  ///< places in distinct_
};

}  // namespace safelight::pipelines
