#pragma once

#include <functional>
#include <string>
#include <vector>

#include "image/guarded.h"
#include "pipelines/conditioning_cache.h"
#include "pipelines/latent_model.h"
#include "pipelines/latent_preview.h"
#include "pipelines/taesd_decoder.h"
#include "request/request.h"

namespace safelight::pipelines {

/// How far a batch is: `step` of `steps` are done.
using StepListener = std::function<void(int64_t step, int64_t steps)>;

/// A model that goes on with a run.
struct RefinerModel {
  LatentModel* model = nullptr;
  std::string model_id;
  text::Vocabulary words;
};

/// How a batch is drawn besides what is asked for. Functions may be empty.
struct BatchOptions {
  StepListener listener;
  const engine::StopFlag* stop = nullptr;  ///< ends the run at once, with kCancelled
  /// Asked after each step; true ends sampling there, and the pictures are decoded as far as they
  /// are.
  std::function<bool()> ends_early;
  ConditioningCache* conditionings = nullptr;
  std::string model_id;                    ///< for `conditionings`
  text::Vocabulary words;                  ///< learned ones that the prompts may have
  std::shared_ptr<LatentPreview> preview;  ///< of this model; learns from each picture
  /// Of its latents: draws previews, and the pictures of a request that wants that. May be null.
  std::shared_ptr<TaesdDecoder> tiny_decoder;
  /// Gives the model that goes on at the request's refiner_switch_at; the one before it may be gone
  /// then. Empty for none.
  std::function<Result<RefinerModel>()> load_refiner;
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
