#pragma once

#include "base/tensor.h"

namespace safelight::diffusion {

/// Guidance from an unconditional prediction that is scaled to come as near as it can to the
/// conditional one (CFG-Zero*, Fan et al. 2025, section 4.1; diffusers'
/// ClassifierFreeZeroStarGuidance): for each picture of [B, C, h, w] by the factor
/// <cond, uncond> / |uncond|^2.
Tensor zero_star_guided(const Tensor& uncond, const Tensor& cond, double scale);

}  // namespace safelight::diffusion
