#pragma once

#include <vector>

#include "base/tensor.h"

namespace safelight::diffusion {

/// Classifier-free guidance (Ho & Salimans 2022): uncond + (cond - uncond) * scale.
Tensor guided(const Tensor& uncond, const Tensor& cond, double scale);

/// An output of the network, and how much it counts.
struct WeightedOutput {
  double weight;
  Tensor output;
};

/// What several prompts together ask for (Liu et al. 2022, composable diffusion; SD WebUI's
/// combine_denoised): uncond + sum of weight * (output - uncond). At least one part; one of weight
/// 1 is given as it is.
Tensor composed(const Tensor& uncond, const std::vector<WeightedOutput>& parts);

/// Pulls the contrast of a guided prediction back (Lin et al. 2023, section 3.4; diffusers'
/// rescale_noise_cfg): each picture [C, h, w] of the batch is scaled to the standard deviation of
/// `cond`, mixed by `amount`.
Tensor rescaled(const Tensor& guided, const Tensor& cond, double amount);

/// Whether guidance acts in this step, for an interval given as fractions of the steps
/// (Kynkaanniemi et al. 2024).
bool guidance_acts(int64_t step, int64_t steps, double start, double end);

}  // namespace safelight::diffusion
