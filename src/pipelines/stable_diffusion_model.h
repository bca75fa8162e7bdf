#pragma once

#include "pipelines/latent_model.h"
#include "weights/tensor_index.h"

namespace safelight::pipelines {

/// Loads a checkpoint of Stable Diffusion's form: 1.x, 2.x, SDXL and what was made of them. Errors:
/// those of models::stable_diffusion::bind.
Result<std::unique_ptr<LatentModel>> load_stable_diffusion(engine::Engine& engine,
                                                           const weights::TensorIndex& index);

}  // namespace safelight::pipelines
