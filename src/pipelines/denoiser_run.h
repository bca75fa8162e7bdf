#pragma once

#include <optional>

#include "pipelines/guided_denoiser.h"
#include "pipelines/prompt_conditioning.h"
#include "pipelines/text_to_image.h"

namespace safelight::pipelines {

/// What samplers call in one run: the model with its prompts, and after a part of the run the
/// refiner with its own (Podell et al. 2023, section 2.5), which goes on with the same latents and
/// the sampler as it stands, as SD WebUI's does (modules/sd_samplers_common.py, apply_refiner).
class DenoiserRun {
 public:
  /// Borrows all but `how`.
  DenoiserRun(const request::Request& request, const BatchOptions& options,
              const GuidedDenoiser::Options& how)
      : request_(request), options_(options), how_(how) {}

  /// Encodes the prompts for the model. Errors: those of PromptConditioning::encode.
  Status begin(LatentModel& model);

  /// See GuidedDenoiser. Errors: its own, those of BatchOptions::load_refiner; kInvalidArgument for
  /// a refiner of other latents.
  Result<Tensor> operator()(const Tensor& x, double sigma, double timestep);
  void step_done() { denoiser_->step_done(); }
  const Tensor& unguided() const { return denoiser_->unguided(); }

  /// The model that draws now.
  LatentModel& model() { return *model_; }

 private:
  bool refiner_is_due(double timestep) const;
  Status change_to_refiner();
  Status use(LatentModel& model, const std::string& model_id, const text::Vocabulary& words);

  const request::Request& request_;
  const BatchOptions& options_;
  GuidedDenoiser::Options how_;
  LatentModel* model_ = nullptr;
  std::optional<PromptConditioning> prompts_;
  std::optional<GuidedDenoiser> denoiser_;
  bool refining_ = false;
};

}  // namespace safelight::pipelines
