#pragma once

#include <vector>

#include "base/tensor.h"
#include "image/guarded.h"

namespace safelight::pipelines {

/// What latents look like, without their decoder: each colour of a pixel is a linear function of
/// the latent's channels there, fitted by least squares to what the model's own decoder made of
/// other latents (docs/decisions/0018-previews-fitted.md). One thread at a time.
class LatentPreview {
 public:
  /// Takes latents [N, C, h, w] and what they were decoded to, [N, 3, H, W], into account; earlier
  /// ones count ever less.
  void learn(const Tensor& latents, const Tensor& pictures);

  bool fitted() const { return !map_.empty(); }

  /// Picture `index` of latents as they were learned from, a pixel for each latent. Must be fitted.
  image::UncheckedImage draw(const Tensor& latents, int64_t index) const;

 private:
  void fit();

  size_t terms_ = 0;                    ///< C + 1, the last for the constant
  std::vector<double> moments_;         ///< [terms, terms], sum of products of terms
  std::vector<double> colour_moments_;  ///< [terms, 3], sum of products of terms and colours
  std::vector<double> map_;             ///< [terms, 3]
};

}  // namespace safelight::pipelines
