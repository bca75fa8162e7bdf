#pragma once

#include <functional>
#include <vector>

#include "image/guarded.h"
#include "pipelines/latent_model.h"
#include "request/request.h"

namespace safelight::pipelines {

/// How far a batch is: `step` of `steps` are done.
using StepListener = std::function<void(int64_t step, int64_t steps)>;

/// Draws one batch: `pictures` of them, the i-th with seed + i (and subseed + i). The request is
/// validated and its choices resolved: seeds drawn, size set. Sampler and schedule names are looked
/// up here. Errors: kInvalidArgument for names, clip_skip beyond the model's layers; kCancelled;
/// those of the engine.
Result<std::vector<image::UncheckedImage>> text_to_image(LatentModel& model,
                                                         const request::Request& request,
                                                         int64_t pictures,
                                                         const StepListener& listener,
                                                         const engine::StopFlag* stop);

/// Checks what of a request depends on the model or the samplers, before any work.
Status check_request(const request::Request& request, const ModelTraits& traits);

}  // namespace safelight::pipelines
