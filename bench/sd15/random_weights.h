#pragma once

#include <filesystem>

#include "base/result.h"
#include "graph/dtype.h"
#include "models/stable_diffusion/stable_diffusion.h"

namespace safelight::bench {

/// The sizes of Stable Diffusion 1.5.
models::stable_diffusion::Config sd15_config();

/// Writes a checkpoint of those sizes with normally distributed weights, the same at each call: one
/// safetensors file under the names of the first release. Deviations of 1 / sqrt(fan-in) and norm
/// weights near 1 keep every activation finite in 16 bits. `dtype` is kF16 or kBF16. Errors: kIo.
Status write_random_weights(const std::filesystem::path& path,
                            const models::stable_diffusion::Config& config, graph::DType dtype);

}  // namespace safelight::bench
