#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/tensor.h"
#include "diffusion/noise.h"

namespace safelight::diffusion {

class BrownianTree;

/// The noise of the SDE samplers: increments of a Brownian motion over sigma, one motion a picture,
/// equal to k-diffusion's BrownianTreeNoiseSampler on torchsde 0.2.6's BrownianTree (halfway tree,
/// tolerance 1e-6), seeding included; with kNv, to that on a GPU and to SD WebUI's random number
/// source "NV". The same interval gives the same noise whatever was asked before.
class BrownianNoise {
 public:
  /// `shape` of one picture's latents [C, h, w]. Queries lie in [sigma_min, sigma_max].
  BrownianNoise(std::vector<int64_t> shape, const std::vector<uint64_t>& seeds, float sigma_min,
                float sigma_max, NoiseSource source);
  ~BrownianNoise();

  /// Unit-variance noise of the interval between the two sigmas, [B, C, h, w]; zeros for an empty
  /// one.
  Tensor operator()(double sigma, double sigma_next);

 private:
  std::vector<int64_t> shape_;
  std::vector<std::unique_ptr<BrownianTree>> trees_;
};

}  // namespace safelight::diffusion
