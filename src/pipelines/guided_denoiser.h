#pragma once

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "diffusion/guidance.h"
#include "pipelines/guidance_settings.h"
#include "pipelines/latent_model.h"
#include "pipelines/prompt_conditioning.h"
#include "request/request.h"

namespace safelight::pipelines {

/// The model's noise levels, or those that the request asks for.
diffusion::NoiseSchedule run_schedule(const ModelTraits& traits, const request::Request& request);

/// What samplers call: the model's evaluations for a batch, put together by guidance.
class GuidedDenoiser {
 public:
  struct Options {
    int64_t pictures = 1;
    int64_t evaluations = 1;      ///< of the sampler in a step
    bool counts_calls = false;    ///< each evaluation is one of the request's steps
    bool keeps_unguided = false;  ///< unguided() will be asked for
    GuidanceSettings guidance;
    const engine::StopFlag* stop = nullptr;
    int64_t steps_before = 0, calls_before = 0;  ///< of the run, made by another model
  };
  /// Borrows all but the options.
  GuidedDenoiser(LatentModel& model, const request::Request& request,
                 const PromptConditioning& prompts, const Options& options)
      : model_(model),
        request_(request),
        prompts_(prompts),
        options_(options),
        guidance_(options_.guidance),
        projected_(options_.guidance.projection),
        schedule_(run_schedule(model.traits(), request)),
        calls_(options_.calls_before),
        steps_done_(options_.steps_before) {}

  /// The picture that the model sees behind x [B, C, h, w], at the schedule's `timestep`.
  /// Errors: those of Predictor.
  Result<Tensor> operator()(const Tensor& x, double sigma, double timestep);

  /// To be told after each step.
  void step_done() { ++steps_done_; }

  /// Which step of the run the next evaluation belongs to.
  int64_t next_step() const {
    if (options_.counts_calls) return calls_;
    return options_.evaluations == 1 ? steps_done_ : calls_ / options_.evaluations;
  }
  int64_t steps_done() const { return steps_done_; }
  int64_t calls() const { return calls_; }

  /// The picture that the negative prompt alone gave in the last evaluation; where the negative
  /// prompt was left out, the picture itself.
  const Tensor& unguided() const { return unguided_; }

 private:
  using Conditionings = std::vector<const Conditioning*>;
  /// Whether the network is evaluated as it is, with some attention perturbed, or for a degraded
  /// picture. Each has predictors of its own, so that what they keep from step to step is theirs.
  enum class Pass { kMain, kPerturbed, kDegraded };
  /// A predictor and what it was made ready for.
  struct Ready {
    Conditionings conditionings;
    std::unique_ptr<Predictor> predictor;
  };
  /// One call.
  struct Moment {
    const Tensor& x;
    double sigma, timestep;
    const StepConditioning& prompts;
    Tensor input;   ///< x as the network sees it
    bool acts;      ///< guidance does
    bool negative;  ///< the negative prompt is evaluated
  };
  /// What the network gave. `prompt`: for all parts together.
  struct Outputs {
    Tensor first;  ///< for the first prompt, where there are several
    Tensor prompt;
    Tensor perturbed;  ///< where pag_scale is above 0
    double pag_scale = 0;

    /// For the negative prompt, or where that is left out for the prompt's first part.
    const Tensor& base() const { return first.data.empty() ? prompt : first; }
  };

  Conditionings parts_of(const Moment& now) const;
  Moment moment(const Tensor& x, double sigma, double timestep);
  PassOptions pass_options(Pass pass) const;
  Result<Tensor> evaluate(Pass pass, const Conditionings& conditionings, const Moment& now,
                          const Tensor& input);
  Result<Outputs> evaluate_prompts(const Moment& now);
  std::vector<diffusion::WeightedOutput> weighted(const Moment& now, const Tensor& output,
                                                  size_t first) const;
  Status evaluate_perturbed(const Moment& now, Outputs& outputs);
  Tensor combined(const Moment& now, const Outputs& outputs);
  Result<Tensor> away_from_degraded(const Moment& now, const Outputs& outputs,
                                    const Tensor& picture);
  Tensor seen(const Moment& now, const Tensor& output) const {
    return schedule_.denoised(now.x, output, now.sigma);
  }

  LatentModel& model_;
  const request::Request& request_;
  const PromptConditioning& prompts_;
  Options options_;
  const GuidanceSettings& guidance_;
  diffusion::ProjectedGuidance projected_;
  diffusion::NoiseSchedule schedule_;
  std::map<std::pair<Pass, size_t>, Ready> ready_;  ///< by the number of conditionings
  const Predictor* main_ = nullptr;                 ///< that of the last main pass
  Tensor unguided_;
  int64_t calls_, steps_done_, step_ = 0;
};

}  // namespace safelight::pipelines
