#pragma once

#include <vector>

#include "diffusion/guidance/attention_guidance.h"
#include "diffusion/guidance/dynamic_threshold.h"
#include "diffusion/guidance/negative_skips.h"
#include "diffusion/guidance/projected.h"
#include "pipelines/latent_model.h"
#include "request/request.h"

namespace safelight::pipelines {

/// How the predictions for the prompt and for the negative prompt are put together.
enum class GuidanceMethod { kClassifierFree, kZeroStar, kProjected, kThreshold };

/// The guidance that a request asks for, of a model.
struct GuidanceSettings {
  GuidanceMethod method = GuidanceMethod::kClassifierFree;
  double scale = 1, rescale = 0;
  double start = 0, end = 1;    ///< fractions of the steps between which all guidance acts
  int64_t zero_init_steps = 0;  ///< steps at the beginning whose prediction is zero
  diffusion::ProjectionOptions projection;
  diffusion::ThresholdOptions threshold;
  diffusion::NegativeSkips skips;
  double pag_scale = 0, pag_adaptive = 0;
  std::vector<int64_t> perturbed;  ///< see PassOptions
  double sag_scale = 0;
  diffusion::DegradeOptions degrade;

  /// Errors: kInvalidArgument for layers that the model does not have, and for settings that do
  /// not go together.
  static Result<GuidanceSettings> of(const request::Request& request, const ModelTraits& traits);
};

}  // namespace safelight::pipelines
