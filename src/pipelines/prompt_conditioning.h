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

/// The encoded prompts of a run. All of them have the same number of tokens.
class PromptConditioning {
 public:
  /// Errors: kInvalidArgument for a prompt of too many tokens; those of LatentModel::encode.
  static Result<PromptConditioning> encode(const PromptEncoder& encoder,
                                           const request::Request& request);

  /// What is drawn from in `step`, counted from 0.
  const StepConditioning& at(int64_t /*step*/) const { return whole_run_; }

 private:
  StepConditioning whole_run_;
};

}  // namespace safelight::pipelines
