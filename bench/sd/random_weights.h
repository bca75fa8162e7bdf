#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/dtype.h"
#include "models/stable_diffusion/stable_diffusion.h"

namespace safelight::bench {

/// A published model whose speed is measured.
struct Family {
  std::string name;   ///< of the command line and of files: "sd15", "sdxl"
  std::string label;  ///< for people
  models::stable_diffusion::Config config;
};

/// The families that are known; the first is the default.
const std::vector<Family>& families();

/// Writes a checkpoint of those sizes with normally distributed weights, the same at each call: one
/// safetensors file under the names of the first release. Deviations of 1 / sqrt(fan-in) and norm
/// weights near 1 keep every activation finite in 16 bits. `dtype` is kF16 or kBF16. Errors: kIo.
Status write_random_weights(const std::filesystem::path& path,
                            const models::stable_diffusion::Config& config, graph::DType dtype);

}  // namespace safelight::bench
