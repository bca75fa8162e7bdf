#pragma once

#include "base/tensor.h"

namespace safelight::diffusion {

struct ProjectionOptions {
  double eta = 0;        ///< share of the part along the picture, which makes colours saturate
  double momentum = 0;   ///< share of the earlier directions that is added; negative pushes away
  double threshold = 0;  ///< longest direction, by its Euclidean norm; 0 for any
};

/// Adaptive projected guidance (Sadat et al. 2024, algorithm 1; diffusers' normalized_guidance with
/// the original formulation). Remembers the directions of a run: one object a run.
class ProjectedGuidance {
 public:
  explicit ProjectedGuidance(const ProjectionOptions& options) : options_(options) {}

  /// Pictures [B, C, h, w] that the model sees with the negative and with the prompt -> the guided
  /// ones, each by norms of its own.
  Tensor operator()(const Tensor& uncond, const Tensor& cond, double scale);

 private:
  ProjectionOptions options_;
  Tensor average_;  // empty before the first call
};

}  // namespace safelight::diffusion
