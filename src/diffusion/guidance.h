#pragma once

#include "base/tensor.h"

namespace safelight::diffusion {

/// Classifier-free guidance (Ho & Salimans 2022): uncond + (cond - uncond) * scale.
Tensor guided(const Tensor& uncond, const Tensor& cond, double scale);

/// Pulls the contrast of a guided prediction back (Lin et al. 2023, section 3.4; diffusers'
/// rescale_noise_cfg): each picture [C, h, w] of the batch is scaled to the standard deviation of
/// `cond`, mixed by `amount`.
Tensor rescaled(const Tensor& guided, const Tensor& cond, double amount);

/// Whether guidance acts in this step, for an interval given as fractions of the steps
/// (Kynkaanniemi et al. 2024).
bool guidance_acts(int64_t step, int64_t steps, double start, double end);

}  // namespace safelight::diffusion
