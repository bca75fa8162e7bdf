#pragma once

#include <cstdint>
#include <vector>

#include "base/tensor.h"

namespace safelight::diffusion {

/// What a denoiser network predicts.
enum class Prediction {
  kEpsilon,  ///< the noise
  kV,        ///< alpha * noise - sigma * picture (Salimans & Ho 2022)
};

/// The noise levels that a model was trained on, and the ways between its three scales: the
/// timestep t in [0, N - 1], alpha-bar, and sigma = sqrt((1 - alpha-bar) / alpha-bar),
/// k-diffusion's "variance exploding" scale, in which x = picture + sigma * noise. Between
/// timesteps log sigma is linear, as in k-diffusion's DiscreteSchedule.
class NoiseSchedule {
 public:
  /// Betas that are the squares of evenly spaced numbers (LDM's "scaled linear"), N of them.
  static NoiseSchedule scaled_linear(double beta_start, double beta_end, int64_t steps,
                                     Prediction prediction);
  /// Stable Diffusion 1.x: 0.00085 to 0.012 in 1000 steps, predicting noise.
  static NoiseSchedule sd1() { return scaled_linear(0.00085, 0.012, 1000, Prediction::kEpsilon); }
  /// From alpha-bars, most picture first; at least two, falling, within (0, 1).
  NoiseSchedule(std::vector<float> alphas_cumprod, Prediction prediction);

  int64_t size() const { return static_cast<int64_t>(alphas_cumprod_.size()); }
  Prediction prediction() const { return prediction_; }
  const std::vector<float>& alphas_cumprod() const { return alphas_cumprod_; }
  const std::vector<float>& sigmas() const { return sigmas_; }  ///< by timestep, rising
  float sigma_min() const { return sigmas_.front(); }
  float sigma_max() const { return sigmas_.back(); }

  /// The fractional timestep of a noise level, within [0, N - 1].
  double timestep(double sigma) const;
  /// The noise level of a fractional timestep in [0, N - 1].
  double sigma(double timestep) const;

  /// By what x is multiplied before the network sees it: 1 / sqrt(sigma^2 + 1).
  static double input_scale(double sigma);
  /// The picture that the network's output stands for, at x and sigma.
  Tensor denoised(const Tensor& x, const Tensor& output, double sigma) const;

 private:
  std::vector<float> alphas_cumprod_, sigmas_;
  std::vector<double> log_sigmas_;
  Prediction prediction_;
};

}  // namespace safelight::diffusion
