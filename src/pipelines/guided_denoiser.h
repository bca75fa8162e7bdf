#pragma once

#include <map>
#include <memory>
#include <vector>

#include "pipelines/latent_model.h"
#include "pipelines/prompt_conditioning.h"
#include "request/request.h"

namespace safelight::pipelines {

/// What samplers call: the model's evaluations for a batch, put together by guidance.
class GuidedDenoiser {
 public:
  struct Options {
    int64_t pictures = 1;
    int64_t evaluations = 1;      ///< of the sampler in a step
    bool keeps_unguided = false;  ///< unguided() will be asked for
    const engine::StopFlag* stop = nullptr;
  };
  /// Borrows all but the options.
  GuidedDenoiser(LatentModel& model, const request::Request& request,
                 const PromptConditioning& prompts, const Options& options)
      : model_(model), request_(request), prompts_(prompts), options_(options) {}

  /// The picture that the model sees behind x [B, C, h, w], at the schedule's `timestep`.
  /// Errors: those of Predictor.
  Result<Tensor> operator()(const Tensor& x, double sigma, double timestep);

  /// To be told after each step.
  void step_done() { ++steps_done_; }

  /// The picture that the negative prompt alone gave in the last evaluation; that of the prompt
  /// where there was no guidance.
  const Tensor& unguided() const { return unguided_; }

 private:
  using Conditionings = std::vector<const Conditioning*>;
  /// A predictor and what it was made ready for.
  struct Ready {
    Conditionings conditionings;
    std::unique_ptr<Predictor> predictor;
  };

  bool acts() const;
  Result<Tensor> evaluate(const Conditionings& conditionings, const Tensor& input, double timestep);
  /// Of the negative prompt, and of the prompt's parts together.
  struct Outputs {
    Tensor uncond, cond;
  };
  Result<Outputs> evaluate_both(const StepConditioning& prompts, const Tensor& input,
                                double timestep);

  LatentModel& model_;
  const request::Request& request_;
  const PromptConditioning& prompts_;
  Options options_;
  std::map<size_t, Ready> ready_;  ///< by the number of conditionings
  Tensor unguided_;
  int64_t calls_ = 0, steps_done_ = 0, step_ = 0;
};

}  // namespace safelight::pipelines
