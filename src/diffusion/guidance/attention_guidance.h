#pragma once

#include "base/tensor.h"

namespace safelight::diffusion {

/// The scale of perturbed-attention guidance at a timestep in [0, 1000] (Ahn et al. 2024;
/// diffusers' PAGMixin): with `adaptive` it falls by so much a timestep, at most to 0.
double perturbed_scale(double scale, double adaptive, double timestep);

/// Where self-attention guidance degrades a picture.
struct DegradeOptions {
  double blur_sigma = 1;  ///< of a Gaussian over 9 x 9 latents
  double threshold = 1;   ///< of the attention that a place receives, above which it is blurred
};

/// A picture made worse where the network looks most (Hong et al. 2023; diffusers'
/// StableDiffusionSAGPipeline.sag_masking, before the noise is added): `pictures` [B, C, h, w] are
/// blurred where `attention` [B, rows, columns], what each place of the middle block receives from
/// all others, exceeds the threshold. Places are cut to latents as nearest neighbours.
Tensor degraded(const Tensor& pictures, const Tensor& attention, const DegradeOptions& options);

}  // namespace safelight::diffusion
