#pragma once

#include "pipelines/latent_model.h"
#include "weights/tensor_index.h"

namespace safelight::pipelines {

/// Loads a checkpoint of Stable Diffusion 1.x's form. Errors: those of
/// models::stable_diffusion::bind.
Result<std::unique_ptr<LatentModel>> load_stable_diffusion(engine::Engine& engine,
                                                           const weights::TensorIndex& index);

}  // namespace safelight::pipelines
