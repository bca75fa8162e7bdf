#pragma once

#include <functional>
#include <string>
#include <vector>

#include "image/guarded.h"
#include "pipelines/conditioning_cache.h"
#include "pipelines/latent_model.h"
#include "pipelines/latent_preview.h"
#include "request/request.h"

namespace safelight::pipelines {

/// How far a batch is: `step` of `steps` are done.
using StepListener = std::function<void(int64_t step, int64_t steps)>;

/// How a batch is drawn besides what is asked for. Functions may be empty.
struct BatchOptions {
  StepListener listener;
  const engine::StopFlag* stop = nullptr;  ///< ends the run at once, with kCancelled
  /// Asked after each step; true ends sampling there, and the pictures are decoded as far as they
  /// are.
  std::function<bool()> ends_early;
  ConditioningCache* conditionings = nullptr;
  std::string model_id;              ///< for `conditionings`
  text::Vocabulary words;            ///< learned ones that the prompts may have
  LatentPreview* preview = nullptr;  ///< of this model; learns from each picture
  std::function<bool()> preview_due;
  std::function<void(image::UncheckedImage)> deliver_preview;  ///< of the first picture
};

/// Draws one batch: `pictures` of them, the i-th with seed + i (and subseed + i). The request is
/// validated and its choices resolved: seeds drawn, size set. Sampler and schedule names are looked
/// up here. Errors: kInvalidArgument for names, clip_skip beyond the model's layers; kCancelled;
/// those of the engine.
Result<std::vector<image::UncheckedImage>> text_to_image(LatentModel& model,
                                                         const request::Request& request,
                                                         int64_t pictures,
                                                         const BatchOptions& options);

/// Checks what of a request depends on the model or the samplers, before any work.
Status check_request(const request::Request& request, const ModelTraits& traits);

}  // namespace safelight::pipelines
